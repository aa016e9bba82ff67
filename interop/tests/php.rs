//! PHP at the other end.

mod support;

use std::os::unix::fs::DirBuilderExt;

use interop::{Language, Peer};
use ipc_msgqueue::php::{PhpSerialize, PhpValue, Swoole, SwooleTask};
use ipc_msgqueue::{Error, Key, Queue, QueueOptions, Selection, Sender, Typed, Wait};
use ipc_socket::Kind;
use support::queues::{Meeting, REQUEST};
use support::{queues, streams};

const PHP: Language = Language::Php;

/// How PHP opens the queue of the file that it is given.
macro_rules! on_queue {
    ($code:literal) => {
        concat!("$q = msg_get_queue(ftok($argv[1], 'q'), 0600); ", $code)
    };
}

fn values_come_back_as_serialize_has_them() {
    let meeting = Meeting::new();
    let mut peer = Peer::start(PHP.script("queue"), &[&meeting.file()]);
    let tx = meeting.queue.sender(REQUEST).unwrap();
    let mut tx = Typed::<PhpValue, _, _>::with_codec(tx, PhpSerialize);
    let mut rx = Typed::<PhpValue, _, _>::with_codec(meeting.answers(), PhpSerialize);
    let bytes = |bytes: &[u8]| PhpValue::Bytes(bytes.to_vec());
    let mut values = vec![
        (PhpValue::Null, "NULL"),
        (PhpValue::Bool(true), "boolean"),
        (PhpValue::Bool(false), "boolean"),
        (bytes(b""), "string"),
        (bytes(b"a\"\0;\xff"), "string"),
        (bytes("h\u{e9}".as_bytes()), "string"),
        (bytes(&[b'x'; 8000]), "string"),
    ];
    for int in [0, 1234, -1, i64::MIN, i64::MAX] {
        values.push((PhpValue::Int(int), "integer"));
    }
    for float in [
        0.1,
        -0.0,
        1.0,
        1e25,
        1.0 / 3.0,
        f64::MIN_POSITIVE,
        5e-324,
        f64::MAX,
        f64::INFINITY,
    ] {
        values.push((PhpValue::Float(float), "double"));
        values.push((PhpValue::Float(-float), "double"));
    }
    values.push((bytes(b"bye"), "string"));
    for (value, kind) in values {
        tx.send(&value).unwrap();
        let found = rx.recv().unwrap();
        assert_eq!(format!("{found:?}"), format!("{value:?}")); // -0.0 is not 0.0
        assert_eq!(peer.line(), kind);
    }
    peer.join();
}

/// What the codec does not know is refused by name, and the queue goes on.
fn arrays_and_raw_bytes_are_refused() {
    let meeting = Meeting::new();
    let code = on_queue!(
        "msg_send($q, 2, [1]); msg_send($q, 2, 1234, false); msg_send($q, 2, NAN); msg_send($q, 2, 7);"
    );
    Peer::start(PHP.code(code), &[&meeting.file()]).join();
    let mut rx = Typed::<PhpValue, _, _>::with_codec(meeting.answers(), PhpSerialize);
    for what in ["an array", "serialize: false"] {
        let error = rx.recv().unwrap_err();
        assert!(matches!(error, Error::Codec(_)), "{error}");
        assert!(error.to_string().contains(what), "{error}");
    }
    assert!(matches!(rx.recv().unwrap(), PhpValue::Float(value) if value.is_nan()));
    assert_eq!(rx.recv().unwrap(), PhpValue::Int(7));
}

fn raw_bytes_come_back() {
    queues::bytes_come_back(PHP);
}

/// Takes five, each by another selection.
const IT_TAKES: &str = on_queue!(
    "foreach ([[0, 0], [2, 0], [-4, 0], [4, MSG_EXCEPT], [0, 0]] as [$which, $flags]) {
        msg_receive($q, $which, $kind, 100, $text, false, $flags) or exit(1);
        echo $kind, ' ';
    }"
);
const IT_SENDS: &str =
    on_queue!("foreach ([3, 2, 5, 1, 4] as $kind) msg_send($q, $kind, \"kind $kind\", false);");

fn it_selects() {
    queues::it_selects(PHP, IT_TAKES);
}

fn we_select() {
    queues::we_select(PHP, IT_SENDS);
}

fn we_peek() {
    queues::we_peek(PHP, IT_SENDS, IT_TAKES);
}

fn spilled_bodies_pass_through() {
    queues::spilled_bodies_pass_through(PHP);
}

fn keys_agree() {
    queues::keys_agree(PHP, "echo ftok($argv[1], hex2bin($argv[2]));");
}

fn it_fills_the_queue() {
    queues::it_fills(
        PHP,
        on_queue!(
            "for ($n = 0; @msg_send($q, 1, str_repeat('x', 1000), false, false, $errno); $n++);
             echo $n, ' ', $errno;"
        ),
    );
}

fn it_waits_for_room() {
    queues::it_waits_for_room(
        PHP,
        on_queue!(
            "echo \"sending\\n\"; msg_send($q, 1, str_repeat('y', 1000), false) && print('sent');"
        ),
    );
}

/// The naive `while (!msg_receive(..))` would turn for ever.
fn too_small_a_buffer_harms_nobody() {
    queues::too_small_a_buffer_harms_nobody(
        PHP,
        on_queue!(
            "$errnos = [];
             for ($i = 0; $i < 2; $i++) {
                msg_receive($q, 0, $kind, 4, $text, false, 0, $errno) and exit(1);
                $errnos[] = $errno;
             }
             echo implode(' ', $errnos);"
        ),
    );
}

/// `MSG_NOERROR` cuts silently, which is why ours never says it.
fn noerror_cuts() {
    let meeting = Meeting::new();
    let mut tx = meeting.queue.sender(REQUEST).unwrap();
    tx.send(b"12345678").unwrap();
    let code = on_queue!("msg_receive($q, 0, $kind, 4, $text, false, MSG_NOERROR); echo $text;");
    assert_eq!(
        Peer::start(PHP.code(code), &[&meeting.file()]).join(),
        "1234"
    );
    assert_eq!(meeting.queue.stat().unwrap().messages, 0);
}

fn what_the_kernel_refuses() {
    queues::what_the_kernel_refuses(
        PHP,
        on_queue!(
            "$msgmax = (int) file_get_contents('/proc/sys/kernel/msgmax');
             foreach ([[0, 1], [1, $msgmax + 1], [1, 100 * $msgmax]] as [$kind, $length]) {
                @msg_send($q, $kind, str_repeat('x', $length), false, false, $errno);
                echo $errno, ' ';
             }"
        ),
    );
}

fn removal_is_told() {
    queues::removal(
        PHP,
        on_queue!("usleep(50000); msg_remove_queue($q);"),
        on_queue!(
            "echo \"waiting\\n\"; @msg_receive($q, 0, $kind, 100, $text, false, 0, $errno); echo $errno;"
        ),
    );
}

/// PHP makes queues with mode 0666, and leaves them.
fn a_queue_that_php_made() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let code = "msg_send(msg_get_queue(ftok($argv[1], 'q')), 10, 'hello');";
    Peer::start(PHP.code(code), &[&file.path()]).join();
    let key = Key::ftok(&file, b'q').unwrap();
    assert!(QueueOptions::new().mode(0o600).open(key).is_err());
    let queue = Queue::open(key).unwrap();
    assert_eq!(queue.stat().unwrap().mode, 0o666);
    let rx = queue.receiver(Selection::Any).unwrap();
    let mut rx = Typed::<String, _, _>::with_codec(rx, PhpSerialize);
    let text = rx.recv();
    queue.remove().unwrap();
    assert_eq!(text.unwrap(), "hello");
}

fn swoole_tasks() {
    let long = vec![b'x'; 100_000];
    for (version, codec, data) in [
        ("6", Swoole::v6(), &b"resize"[..]),
        ("2", Swoole::v2(), b"resize"),
        ("6", Swoole::v6(), &long),
        ("2", Swoole::v2(), &long),
    ] {
        let meeting = Meeting::new();
        let directory = tempfile::tempdir().unwrap();
        let private = directory.path().join("tasks");
        std::fs::DirBuilder::new()
            .mode(0o700)
            .create(&private)
            .unwrap();
        let peer = Peer::start(PHP.script("task"), &[&meeting.file(), &version, &private]);
        let codec = codec.directory(&private);
        let mut task = SwooleTask::new(7, data);
        (task.worker, task.time) = (3, if version == "6" { 1.5 } else { 0.0 });
        let mut tx = meeting.queue.sender(REQUEST).unwrap();
        codec.send(&task, &mut tx, Wait::Forever).unwrap();
        let kind = if version == "6" { 8 } else { 7 };
        assert_eq!(peer.join(), format!("7 3 {kind} {}", data.len()));
        let mut rx = Typed::<SwooleTask, _, _>::with_codec(meeting.answers(), codec);
        assert!(rx.recv().unwrap() == task);
        assert_eq!(std::fs::read_dir(&private).unwrap().count(), 0);
    }
}

fn a_client_on_unix() {
    streams::a_client(PHP, Kind::Unix);
}

fn a_client_on_tcp() {
    streams::a_client(PHP, Kind::Tcp);
}

fn a_client_by_an_abstract_name() {
    streams::a_client_by_an_abstract_name(PHP);
}

fn a_server_on_unix() {
    streams::a_server(PHP, Kind::Unix);
}

fn a_server_on_tcp() {
    streams::a_server(PHP, Kind::Tcp);
}

fn a_client_of_its_own_server() {
    streams::a_client_of_its_own_server(PHP);
}

fn fifos() {
    streams::a_fifo(PHP);
}

fn a_child_on_a_socket() {
    streams::a_child_on_a_socket(PHP);
}

fn a_child_on_pipes() {
    streams::a_child_on_pipes(PHP);
}

fn half_frames() {
    streams::half_frames(
        PHP,
        "$s = stream_socket_client($argv[1]); fwrite($s, hex2bin($argv[2])); fclose($s);",
    );
}

interop::cases! { PHP =>
    values_come_back_as_serialize_has_them,
    arrays_and_raw_bytes_are_refused,
    raw_bytes_come_back,
    it_selects,
    we_select,
    we_peek,
    spilled_bodies_pass_through,
    keys_agree,
    it_fills_the_queue,
    it_waits_for_room,
    too_small_a_buffer_harms_nobody,
    noerror_cuts,
    what_the_kernel_refuses,
    removal_is_told,
    a_queue_that_php_made,
    swoole_tasks,
    a_client_on_unix,
    a_client_on_tcp,
    a_client_by_an_abstract_name,
    a_server_on_unix,
    a_server_on_tcp,
    a_client_of_its_own_server,
    fifos,
    a_child_on_a_socket,
    a_child_on_pipes,
    half_frames,
}
