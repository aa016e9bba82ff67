//! A child is forked, waited for and killed.
fn main() {
    let (child, ()) = ipc_process::fork(((), ()), |()| std::process::ExitCode::from(7)).unwrap();
    let error = child.join().unwrap_err();
    println!("{error}");
    let (child, ()) = ipc_process::fork(((), ()), |()| -> () { panic!("x") }).unwrap();
    println!("{}", child.join().unwrap_err());
    let (child, ()) = ipc_process::fork(((), ()), |()| println!("hi")).unwrap();
    child.join().unwrap();
    let (child, ()) = ipc_process::fork(((), ()), |()| {
        std::thread::sleep(std::time::Duration::from_secs(100));
    })
    .unwrap();
    child.kill().unwrap();
    println!("{}", child.join().unwrap_err());
}
