//! The codec of PHP's `serialize`: every byte string is a value written in one way, or refused.

use ipc_msgqueue::php::{PhpSerialize, PhpValue, Scalar};
use ipc_msgqueue::{Codec, Error, Receiver, Sender, Typed, channel};
use proptest::prelude::*;

fn encoded<T: Scalar>(value: &T) -> Vec<u8> {
    let mut text = b"before ".to_vec();
    PhpSerialize.encode(value, &mut text).unwrap();
    text.split_off(7)
}

fn decoded<T: Scalar>(text: &[u8]) -> Result<T, Error> {
    PhpSerialize.decode(text)
}

/// As `php -r 'echo serialize(..);'` prints them.
#[test]
fn as_php_writes_it() {
    assert_eq!(encoded(&1234_i64), b"i:1234;");
    assert_eq!(encoded(&i64::MIN), b"i:-9223372036854775808;");
    assert_eq!(encoded(&"hi".to_owned()), b"s:2:\"hi\";");
    assert_eq!(encoded(&"h\u{e9}".to_owned()), b"s:3:\"h\xc3\xa9\";");
    assert_eq!(encoded(&b"a\"\0;".to_vec()), b"s:4:\"a\"\0;\";");
    assert_eq!(encoded(&1.5), b"d:1.5;");
    assert_eq!(encoded(&1e25), b"d:1.0E+25;");
    assert_eq!(encoded(&f64::NEG_INFINITY), b"d:-INF;");
    assert_eq!(encoded(&true), b"b:1;");
    assert_eq!(encoded(&false), b"b:0;");
    assert_eq!(encoded(&None::<i64>), b"N;");
    assert_eq!(encoded(&Some(5_i64)), b"i:5;");
    assert_eq!(encoded(&PhpValue::Null), b"N;");
}

#[test]
fn the_type_is_checked() {
    let texts: [&[u8]; 5] = [b"N;", b"b:1;", b"i:1;", b"d:1;", b"s:1:\"1\";"];
    for (at, text) in texts.into_iter().enumerate() {
        assert_eq!(decoded::<bool>(text).is_ok(), at == 1);
        assert_eq!(decoded::<i64>(text).is_ok(), at == 2);
        assert_eq!(decoded::<f64>(text).is_ok(), at == 3);
        assert_eq!(decoded::<String>(text).is_ok(), at == 4);
        assert_eq!(decoded::<Vec<u8>>(text).is_ok(), at == 4);
        assert_eq!(decoded::<Option<i64>>(text).is_ok(), at == 0 || at == 2);
        assert!(decoded::<PhpValue>(text).is_ok());
    }
    assert!(decoded::<String>(b"s:1:\"\xff\";").is_err());
    let text = decoded::<f64>(b"i:5;").unwrap_err().to_string();
    assert_eq!(
        text,
        "codec: PHP serialize: this is an int, where a f64 is wanted"
    );
}

/// `msg_send($queue, 10, [1])`: it is refused by name, and the queue goes on.
#[test]
fn a_queue_goes_on_after_what_is_refused() {
    let (mut tx, rx) = channel().unwrap();
    let mut rx = Typed::<PhpValue, _, _>::with_codec(rx, PhpSerialize);
    for (text, what) in [
        (&b"a:1:{i:0;i:1;}"[..], "an array"),
        (b"O:8:\"stdClass\":0:{}", "an object"),
        (b"1234", "serialize: false"),
        (b"", "nothing at all"),
    ] {
        tx.send(text).unwrap();
        let error = rx.recv().unwrap_err();
        assert!(
            matches!(error, Error::Codec(_)) && error.to_string().contains(what),
            "{error}"
        );
        tx.send(b"i:7;").unwrap();
        assert_eq!(rx.recv().unwrap(), PhpValue::Int(7));
    }
    assert!(rx.get_mut().try_recv().is_err());
}

fn value() -> impl Strategy<Value = PhpValue> {
    prop_oneof![
        Just(PhpValue::Null),
        any::<bool>().prop_map(PhpValue::Bool),
        any::<i64>().prop_map(PhpValue::Int),
        any::<f64>()
            .prop_filter("not equal to itself", |value| !value.is_nan())
            .prop_map(PhpValue::Float),
        any::<Vec<u8>>().prop_map(PhpValue::Bytes),
    ]
}

/// Bytes that are nearly right.
fn text() -> impl Strategy<Value = Vec<u8>> {
    let pieces = prop_oneof![
        Just("i:"),
        Just("d:"),
        Just("s:"),
        Just("b:"),
        Just("N"),
        Just(";"),
        Just("\""),
        Just(":"),
        Just("-"),
        Just("0"),
        Just("1"),
        Just("25"),
        Just("."),
        Just("E"),
        Just("+"),
        Just("INF"),
        Just("\0"),
        Just("99999999999999999999"),
    ];
    prop::collection::vec(pieces, 0..8).prop_map(|pieces| pieces.concat().into_bytes())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4096, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_value_comes_back(value in value()) {
        let text = encoded(&value);
        prop_assert_eq!(decoded::<PhpValue>(&text).unwrap(), value);
    }

    /// Nothing panics; and integers, strings and the like have one text only.
    #[test]
    fn bytes_are_a_value_or_refused(bytes in prop_oneof![any::<Vec<u8>>(), text()]) {
        match decoded::<PhpValue>(&bytes) {
            Ok(PhpValue::Float(value)) => {
                prop_assert!(decoded::<f64>(&encoded(&value)).is_ok());
            }
            Ok(value) => prop_assert_eq!(encoded(&value), bytes),
            Err(error) => prop_assert!(matches!(error, Error::Codec(_))),
        }
    }

    /// One byte changed, one missing, one too many.
    #[test]
    fn damage_is_noticed_or_another_value(value in value(), at: prop::sample::Index, byte: u8) {
        let text = encoded(&value);
        let mut changed = text.clone();
        changed[at.index(text.len())] = byte;
        let _ = decoded::<PhpValue>(&changed);
        prop_assert!(decoded::<PhpValue>(&text[..text.len() - 1]).is_err());
        prop_assert!(decoded::<PhpValue>(&[&text[..], b";"].concat()).is_err());
    }
}
