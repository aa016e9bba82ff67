//! Swoole's tasks, byte by byte, in two layouts; and whose files are read.

use std::fs;
use std::os::unix::fs::{DirBuilderExt, symlink};
use std::path::PathBuf;

use ipc_msgqueue::php::{PhpSerialize, Swoole, SwooleTask};
use ipc_msgqueue::{Codec, Error, Key, Kind, Queue, QueueOptions, Receiver, Selection, Wait};

const WORKER_1: Kind = Kind::of::<2>();

/// `i64 task_id; u64 msg_id; u32 len; i16 src_worker; u8 type; u8 flags; u16 server_fd; u16 ext_flags;
/// u32 reserved; f64 time`
const V6: &[u8; 45] = b"\x07\0\0\0\0\0\0\0\
    \x09\0\0\0\0\0\0\0\
    \x05\0\0\0\
    \x01\0\x08\0\
    \0\0\x04\0\
    \0\0\0\0\
    \0\0\0\0\0\0\xf8\x3f\
    hello";

/// `pack('lSsCCS', 7, 5, 0, 7, 0, 4) . 'hello'`
const V2: &[u8; 17] = b"\x07\0\0\0\x05\0\0\0\x07\0\x04\0hello";

struct Dir(PathBuf);

impl Dir {
    fn new() -> Self {
        let path = std::env::temp_dir().join(format!("ipc-msgqueue-swoole-{}", std::process::id()));
        fs::DirBuilder::new().mode(0o700).create(&path).unwrap();
        Dir(path)
    }

    fn files(&self) -> usize {
        fs::read_dir(&self.0).unwrap().count()
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

fn hello() -> SwooleTask {
    SwooleTask {
        msg_id: 9,
        worker: 1,
        time: 1.5,
        ..SwooleTask::new(7, b"hello")
    }
}

fn encoded(codec: &Swoole, task: &SwooleTask) -> Vec<u8> {
    let mut bytes = Vec::new();
    codec.encode(task, &mut bytes).unwrap();
    bytes
}

#[track_caller]
fn refused(codec: &Swoole, bytes: &[u8], what: &str) {
    let error = codec.decode(bytes).unwrap_err();
    assert!(matches!(error, Error::Codec(_)), "{error}");
    assert!(error.to_string().contains(what), "{error}");
}

fn both_layouts_to_the_byte() {
    assert_eq!(encoded(&Swoole::v6(), &hello()), V6);
    assert_eq!(Swoole::v6().decode(V6).unwrap(), hello());
    let old = SwooleTask {
        msg_id: 0,
        worker: 0,
        time: 0.0,
        ..hello()
    };
    assert_eq!(encoded(&Swoole::v2(), &old), V2);
    assert_eq!(Swoole::v2().decode(V2).unwrap(), old);
    let largest = SwooleTask {
        id: i64::MIN,
        worker: i16::MIN,
        flags: 0xfe,
        ..hello()
    };
    assert_eq!(
        Swoole::v6()
            .decode(&encoded(&Swoole::v6(), &largest))
            .unwrap(),
        largest
    );
}

fn serialized_data_is_phps() {
    let mut data = Vec::new();
    PhpSerialize.encode(&1234_i64, &mut data).unwrap();
    let mut task = SwooleTask::new(1, data);
    task.flags |= SwooleTask::SERIALIZE;
    let task = Swoole::v6().decode(&encoded(&Swoole::v6(), &task)).unwrap();
    assert_ne!(task.flags & SwooleTask::SERIALIZE, 0);
    assert_eq!(
        Codec::<i64>::decode(&PhpSerialize, &task.data).unwrap(),
        1234
    );
}

fn type_length_flags_and_version_are_checked() {
    for (codec, good, kind_at, flags_at, len_at) in [
        (Swoole::v6(), &V6[..], 22, 26, 16),
        (Swoole::v2(), &V2[..], 8, 10, 4),
    ] {
        for len in 0..good.len() {
            assert!(codec.decode(&good[..len]).is_err(), "{len}");
        }
        assert!(codec.decode(&[good, b"!"].concat()).is_err());
        let with = |at: usize, byte: u8| {
            let mut bytes = good.to_vec();
            bytes[at] = byte;
            bytes
        };
        refused(&codec, &with(kind_at, 9), "type 9 is no task");
        refused(&codec, &with(flags_at + 1, 1), "flags 0x104 are unknown");
        refused(
            &codec,
            &with(len_at, 4),
            "4 bytes of data are announced, there are 5",
        );
        refused(
            &codec,
            &with(len_at + 1, 0xff),
            "are announced, there are 5",
        );
    }
    refused(&Swoole::v6(), &[&V2[..2], &[0; 40]].concat(), "for 6.2.2");
    refused(&Swoole::v2(), V6, "it has the layout of Swoole 6.2.2");
    let long_v2 = [&b"\x07\0\0\0\x28\0\0\0\x07\0\x04\0"[..], &[b'x'; 40]].concat();
    refused(&Swoole::v6(), &long_v2, "it has the layout of Swoole 2.1.2");
    refused(&Swoole::v6(), V2, "it has the layout of Swoole 2.1.2");
}

fn what_a_version_cannot_say_is_not_sent() {
    let mut out = Vec::new();
    let id = SwooleTask {
        id: 1 << 31,
        ..hello()
    };
    assert!(Swoole::v2().encode(&id, &mut out).is_err());
    let flags = SwooleTask {
        flags: SwooleTask::NOREPLY,
        ..hello()
    };
    assert!(Swoole::v2().encode(&flags, &mut out).is_err());
    for (codec, limit) in [(Swoole::v6(), 8152), (Swoole::v2(), 8180)] {
        let task = |len| SwooleTask {
            data: vec![b'x'; len],
            ..SwooleTask::new(1, b"")
        };
        assert_eq!(encoded(&codec, &task(limit - 1)).len(), 8191);
        let error = codec
            .encode(&task(limit), &mut out)
            .unwrap_err()
            .to_string();
        assert!(error.contains("Swoole::directory"), "{error}");
    }
    assert!(out.is_empty());
}

fn long_data_goes_through_a_file() {
    for codec in [Swoole::v6(), Swoole::v2()] {
        let dir = Dir::new();
        let queue = Queue::create(Key::PRIVATE).unwrap();
        let mut tx = queue.sender(WORKER_1).unwrap();
        let mut rx = queue.receiver(Selection::Any).unwrap();
        let task = SwooleTask::new(1, vec![b'x'; 100_000]);
        let error = codec
            .send(&task, &mut tx, Wait::Never)
            .unwrap_err()
            .to_string();
        assert!(error.contains("Swoole::directory"), "{error}");

        let following = codec.clone().directory(&dir.0);
        following.send(&task, &mut tx, Wait::Never).unwrap();
        assert_eq!(dir.files(), 1);
        let message = rx.recv().unwrap().to_vec();
        assert_eq!(rx.kind(), Some(WORKER_1));
        refused(&codec, &message, "it is read if Swoole::directory is given");
        let elsewhere = codec.clone().directory(dir.0.join("elsewhere"));
        refused(&elsewhere, &message, "which is not right in");
        let above = codec.clone().directory(dir.0.parent().unwrap());
        refused(&above, &message, "which is not right in");
        assert_eq!(dir.files(), 1);
        assert_eq!(following.decode(&message).unwrap().data, task.data);
        assert_eq!(dir.files(), 0);
        assert!(matches!(
            following.decode(&message),
            Err(Error::Os { call: "openat", .. })
        ));

        following
            .send(&hello_short(), &mut tx, Wait::Never)
            .unwrap();
        assert_eq!(following.decode(rx.recv().unwrap()).unwrap().data, b"short");
    }
}

fn hello_short() -> SwooleTask {
    SwooleTask::new(2, b"short")
}

fn a_send_that_gives_up_leaves_no_file() {
    let dir = Dir::new();
    let queue = QueueOptions::new()
        .capacity(400)
        .create(Key::PRIVATE)
        .unwrap();
    let mut tx = queue.sender(WORKER_1).unwrap();
    let codec = Swoole::v6().directory(&dir.0);
    let task = SwooleTask::new(1, vec![b'x'; 10_000]);
    codec.send(&task, &mut tx, Wait::Never).unwrap();
    assert!(matches!(
        codec.send(&task, &mut tx, Wait::Never),
        Err(Error::WouldBlock)
    ));
    assert_eq!(dir.files(), 1);
}

/// The message of a task whose data lies in the file `path`.
fn message_v6(len: u64, path: &[u8], flags: u8) -> Vec<u8> {
    let mut bytes = V6[..40].to_vec();
    (bytes[16], bytes[17], bytes[26]) = (8, 1, flags);
    bytes.extend_from_slice(&len.to_le_bytes());
    bytes.extend_from_slice(path);
    bytes.resize(40 + 264, 0);
    bytes
}

/// What the seed's PHP class packs: the length says 152 whatever the path's length is.
fn message_v2(len: i32, path: &[u8]) -> Vec<u8> {
    let mut bytes = b"\x07\0\0\0\x98\0\0\0\x07\0\x05\0".to_vec();
    bytes.extend_from_slice(&len.to_le_bytes());
    bytes.extend_from_slice(path);
    bytes.push(0);
    bytes
}

fn files_of_php_are_read() {
    let dir = Dir::new();
    let file = dir.0.join("swoole.task7Zx0aB");
    let path = file.to_str().unwrap().as_bytes();
    fs::write(&file, "from PHP").unwrap();
    let v2 = Swoole::v2().directory(&dir.0);
    assert_eq!(v2.decode(&message_v2(8, path)).unwrap().data, b"from PHP");
    assert_eq!(dir.files(), 0);

    fs::write(&file, "from PHP").unwrap();
    let v6 = Swoole::v6().directory(&dir.0);
    let peeked = v6.decode(&message_v6(8, path, 1 | 64)).unwrap();
    assert_eq!(
        (&peeked.data[..], peeked.flags),
        (&b"from PHP"[..], SwooleTask::PEEK)
    );
    assert_eq!(dir.files(), 1, "a task with PEEK leaves its file");
    assert_eq!(
        v6.decode(&message_v6(8, path, 1)).unwrap().data,
        b"from PHP"
    );
    assert_eq!(dir.files(), 0);
}

/// No path leads out of the directory, and nothing in it leads elsewhere.
fn paths_that_lead_elsewhere_are_not_followed() {
    let dir = Dir::new();
    let inside = dir.0.join("inside");
    fs::create_dir(&inside).unwrap();
    let secret = dir.0.join("secret");
    fs::write(&secret, "secret!!").unwrap();
    let link = inside.join("link");
    symlink(&secret, &link).unwrap();
    let hard = inside.join("hard");
    fs::hard_link(&secret, &hard).unwrap();
    let codec = Swoole::v6().directory(&inside);
    let inside = inside.to_str().unwrap();
    for path in [
        secret.to_str().unwrap(),
        &format!("{inside}/../secret"),
        &format!("{inside}/link"),
        &format!("{inside}/hard"),
        &format!("{inside}/."),
        &format!("{inside}/.."),
        &format!("{inside}/"),
        inside,
        "../secret",
        "secret",
        "/etc/passwd",
        "",
    ] {
        let result = codec.decode(&message_v6(8, path.as_bytes(), 1));
        assert!(
            matches!(result, Err(Error::Codec(_) | Error::Os { .. })),
            "{path}"
        );
    }
    let full = [b'x'; 256];
    refused(
        &codec,
        &message_v6(8, &full, 1),
        "no length and path stand there",
    );
    assert_eq!(fs::read(&secret).unwrap(), b"secret!!");
    let error = codec.decode(&message_v6(
        u64::MAX,
        format!("{inside}/hard").as_bytes(),
        1,
    ));
    assert!(matches!(error, Err(Error::TooLarge { .. })));
    assert!(
        Swoole::v2()
            .directory(inside)
            .decode(&message_v2(-1, b"x"))
            .is_err()
    );
}

fn garbage_is_refused() {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let dir = Dir::new();
    for round in 0..200_000_u32 {
        let mut bytes = if round % 2 == 0 {
            V6.to_vec()
        } else {
            message_v2(8, b"/x/y")
        };
        for _ in 0..=round % 4 {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            let [at, byte, ..] = (state >> 40).to_le_bytes();
            let at = usize::from(at) % bytes.len();
            bytes[at] = byte;
        }
        for codec in [Swoole::v6(), Swoole::v2()] {
            let _ = codec.decode(&bytes);
            let _ = codec.directory(&dir.0).decode(&bytes);
        }
    }
    assert_eq!(dir.files(), 0);
}

ipc_core::cases! {
    both_layouts_to_the_byte,
    serialized_data_is_phps,
    type_length_flags_and_version_are_checked,
    what_a_version_cannot_say_is_not_sent,
    long_data_goes_through_a_file,
    a_send_that_gives_up_leaves_no_file,
    files_of_php_are_read,
    paths_that_lead_elsewhere_are_not_followed,
    garbage_is_refused,
}
