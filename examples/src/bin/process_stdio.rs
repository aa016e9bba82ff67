//! What children print comes to their parent, and what it writes is their input:
//! `new Swoole\Process(fn, true)`, and `$process->exec('/usr/bin/sort')`.

use std::error::Error;
use std::io::{self, BufRead, BufReader, Write};
use std::process::Command;

use ipc_process::ProcessOptions;

fn main() -> Result<(), Box<dyn Error>> {
    let pipes = ProcessOptions::new().redirect();

    // A function of this program, which knows nothing of its streams being pipes.
    let (mut child, ()) = pipes.fork(((), ()), |()| {
        for line in io::stdin().lines() {
            println!("you said: {}", line?);
        }
        eprintln!("that was all");
        io::Result::Ok(())
    })?;
    let mut stdin = child.stdin.take().ok_or("no pipe")?;
    let mut stdout = BufReader::new(child.stdout.take().ok_or("no pipe")?);
    let mut line = String::new();
    for word in ["one", "two"] {
        writeln!(stdin, "{word}")?;
        line.clear();
        stdout.read_line(&mut line)?;
        assert_eq!(line, format!("you said: {word}\n"));
    }
    drop(stdin); // its end of file
    let output = child.communicate(b"")?;
    assert_eq!(output.stderr, b"that was all\n");

    // Another program. It can answer only when its input has ended.
    let (sort, ()) = pipes.run(((), ()), &mut Command::new("sort"))?;
    let output = sort.communicate(b"pear\napple\nfig\n")?;
    print!("{}", String::from_utf8_lossy(&output.stdout));
    assert_eq!(output.stdout, b"apple\nfig\npear\n");
    Ok(())
}
