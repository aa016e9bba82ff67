//! `Typed` and its codecs, over pipes.

use std::collections::BTreeMap;
use std::time::Duration;

use ipc_core::{Bincode, Channel, Codec, Error, Postcard, Receiver, Sender, Typed, Wait};
use proptest::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Order {
    id: u64,
    item: String,
    parts: Vec<(u16, Option<Box<str>>)>,
    notes: BTreeMap<String, Vec<u8>>,
    kind: Kind,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
enum Kind {
    #[default]
    Plain,
    Weighed(f64),
    Wrapped {
        paper: String,
    },
}

fn orders() -> [Order; 3] {
    let full = Order {
        id: u64::MAX,
        item: "tea".repeat(10_000),
        parts: vec![(1, None), (2, Some("lid".into()))],
        notes: BTreeMap::from([("why".into(), vec![0, 255])]),
        kind: Kind::Wrapped {
            paper: "blue".into(),
        },
    };
    let weighed = Order {
        kind: Kind::Weighed(-0.5),
        ..full.clone()
    };
    [Order::default(), full, weighed]
}

fn round_trip<C: Codec<Order> + Copy>(codec: C) {
    let (tx, rx) = ipc_pipe::channel().unwrap();
    let mut tx = Typed::with_codec(tx, codec);
    let mut rx = Typed::with_codec(rx, codec);
    for order in orders() {
        tx.send(&order).unwrap();
        assert_eq!(rx.recv().unwrap(), order);
    }
    assert!(matches!(rx.try_recv(), Err(Error::WouldBlock)));
}

#[test]
fn values_come_out_as_they_went_in() {
    round_trip(Postcard);
    round_trip(Bincode);
}

#[test]
fn endpoints_and_boxes_carry_values_both_ways() {
    let (a, b) = ipc_pipe::pair().unwrap();
    let boxed: Box<dyn Channel + Send> = Box::new(b);
    let (mut a, mut b) = (Typed::<u32, _>::new(a), Typed::<u32, _>::new(boxed));
    a.try_send(&1).unwrap();
    let next = b.recv().unwrap() + 1;
    b.send_timeout(&next, Duration::from_secs(9)).unwrap();
    b.flush(Wait::Forever).unwrap();
    assert_eq!(a.recv_timeout(Duration::from_secs(9)).unwrap(), 2);
    a.get_mut().send(b"no number: ten bytes").unwrap();
    assert_eq!(b.into_inner().recv().unwrap(), b"no number: ten bytes");
}

#[test]
fn a_message_that_is_no_value_is_an_error_and_the_channel_goes_on() {
    let (mut tx, rx) = ipc_pipe::channel().unwrap();
    let mut rx = Typed::<(u8, u8), _>::new(rx);
    for msg in [&[1, 2][..], &[1], &[1, 2, 3], &[3, 4]] {
        tx.send(msg).unwrap();
    }
    assert_eq!(rx.recv().unwrap(), (1, 2));
    let error = rx.recv().unwrap_err();
    assert!(matches!(error, Error::Codec(_)), "{error}");
    let error = rx.recv().unwrap_err();
    assert_eq!(
        error.to_string(),
        "codec: 1 bytes are left after a (u8, u8); is it sent as another type?"
    );
    assert_eq!(rx.recv().unwrap(), (3, 4));
    drop(tx);
    assert!(matches!(rx.recv(), Err(Error::Disconnected)));
}

#[test]
fn bytes_left_over_are_an_error_in_bincode_too() {
    let error = Codec::<u8>::decode(&Bincode, &[1, 2]).unwrap_err();
    assert!(error.to_string().contains("1 bytes are left"), "{error}");
}

/// What cannot be encoded is not sent, nor is half of it sent with the next value.
#[test]
fn a_value_that_does_not_encode_leaves_the_sender_usable() {
    struct Fussy;
    impl Codec<u8> for Fussy {
        fn encode(&self, value: &u8, out: &mut Vec<u8>) -> ipc_core::Result<()> {
            out.extend([*value, *value]);
            match value {
                0 => Err(Error::Codec("nothing".into())),
                _ => Ok(()),
            }
        }
        fn decode(&self, bytes: &[u8]) -> ipc_core::Result<u8> {
            Ok(bytes[0])
        }
    }
    let (tx, mut rx) = ipc_pipe::channel().unwrap();
    let mut tx = Typed::with_codec(tx, Fussy);
    assert_eq!(tx.send(&0).unwrap_err().to_string(), "codec: nothing");
    tx.send(&7).unwrap();
    assert_eq!(rx.recv().unwrap(), [7, 7]);
}

#[test]
fn a_value_that_is_too_large_leaves_the_sender_usable() {
    let (tx, rx) = ipc_pipe::PipeOptions::new().max_len(4).channel().unwrap();
    let (mut tx, mut rx) = (Typed::<String, _>::new(tx), Typed::<String, _>::new(rx));
    let error = tx.send(&"hello".into()).unwrap_err();
    assert!(matches!(error, Error::TooLarge { len: 6, .. }), "{error}");
    tx.send(&"hi".into()).unwrap();
    assert_eq!(rx.recv().unwrap(), "hi");
}

/// A length that claims a tebibyte, and nothing after it: an allocation of that size would abort.
#[test]
fn a_hostile_length_allocates_nothing() {
    let claim = [&[253][..], &(1_u64 << 40).to_le_bytes()].concat();
    let error = Codec::<String>::decode(&Bincode, &claim).unwrap_err();
    assert!(
        error.to_string().contains("more than 268435456 bytes"),
        "{error}"
    );
    let claim = [0xff, 0xff, 0xff, 0xff, 0xff, 0x7f];
    for refused in [
        Codec::<String>::decode(&Postcard, &claim).is_err(),
        Codec::<Vec<u64>>::decode(&Postcard, &claim).is_err(),
        Codec::<BTreeMap<u64, u64>>::decode(&Postcard, &claim).is_err(),
    ] {
        assert!(refused);
    }
}

/// The bytes of a real order with some of them changed, or any bytes at all.
fn hostile<C: Codec<Order>>(codec: &C) -> impl Strategy<Value = Vec<u8>> + use<C> {
    let mut order = orders()[2].clone();
    order.item.truncate(20);
    let mut bytes = Vec::new();
    codec.encode(&order, &mut bytes).unwrap();
    let changes = prop::collection::vec((0..bytes.len(), any::<u8>()), 1..4);
    let damaged = changes.prop_map(move |changes| {
        let mut bytes = bytes.clone();
        for (at, byte) in changes {
            bytes[at] = byte;
        }
        bytes
    });
    prop_oneof![damaged, prop::collection::vec(any::<u8>(), 0..100)]
}

proptest! {
    #[test]
    fn hostile_bytes_never_panic_in_postcard(bytes in hostile(&Postcard)) {
        let _ = Codec::<Order>::decode(&Postcard, &bytes);
    }

    #[test]
    fn hostile_bytes_never_panic_in_bincode(bytes in hostile(&Bincode)) {
        let _ = Codec::<Order>::decode(&Bincode, &bytes);
    }
}
