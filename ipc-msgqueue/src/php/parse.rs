//! The text that PHP's `serialize` makes of scalars and strings, taken apart.

use super::float;

/// What was serialized; strings are lent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Parsed<'a> {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Bytes(&'a [u8]),
}

/// The value whose text this is, all of it, as PHP writes it and no other way.
pub(super) fn parse(text: &[u8]) -> Result<Parsed<'_>, String> {
    match text {
        b"N;" => Ok(Parsed::Null),
        b"b:0;" => Ok(Parsed::Bool(false)),
        b"b:1;" => Ok(Parsed::Bool(true)),
        [b'i', b':', digits @ .., b';'] => int(digits)
            .map(Parsed::Int)
            .ok_or_else(|| "an integer that is none, or beyond 64 bits".to_owned()),
        [b'd', b':', digits @ .., b';'] => float::read(digits)
            .map(Parsed::Float)
            .ok_or_else(|| "a float that is none, or beyond all floats".to_owned()),
        [b's', b':', rest @ ..] => string(rest).map(Parsed::Bytes),
        [b'a', b':', ..] => Err("an array: send its elements, or JSON in a string".to_owned()),
        [b'O' | b'C' | b'E', b':', ..] => Err("an object, which is not decoded".to_owned()),
        [] => Err("nothing at all".to_owned()),
        _ => Err("no serialized value; was it sent with serialize: false?".to_owned()),
    }
}

/// `-?(0|[1-9][0-9]*)`, within 64 bits; there is no minus zero.
fn int(text: &[u8]) -> Option<i64> {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    let plain = match digits {
        [b'0'] => text == b"0",
        [first, ..] => *first != b'0' && digits.iter().all(u8::is_ascii_digit),
        [] => false,
    };
    std::str::from_utf8(text)
        .ok()
        .filter(|_| plain)?
        .parse()
        .ok()
}

/// Behind `s:`: a length in bytes, and so many bytes in quotes.
fn string(text: &[u8]) -> Result<&[u8], String> {
    let colon = text.iter().take(20).position(|&byte| byte == b':');
    let (len, rest) = text.split_at(colon.ok_or("a string without a length")?);
    let len = int(len)
        .and_then(|len| usize::try_from(len).ok())
        .ok_or("a string with a length that is none")?;
    rest.strip_prefix(b":\"")
        .and_then(|rest| rest.strip_suffix(b"\";"))
        .filter(|body| body.len() == len)
        .ok_or_else(|| {
            format!(
                "a string of {len} bytes in {} bytes of text",
                text.len() + 2
            )
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_php_writes_is_read() {
        let values: [(&[u8], Parsed<'_>); 12] = [
            (b"N;", Parsed::Null),
            (b"b:0;", Parsed::Bool(false)),
            (b"b:1;", Parsed::Bool(true)),
            (b"i:0;", Parsed::Int(0)),
            (b"i:1234;", Parsed::Int(1234)),
            (b"i:9223372036854775807;", Parsed::Int(i64::MAX)),
            (b"i:-9223372036854775808;", Parsed::Int(i64::MIN)),
            (b"d:1.5;", Parsed::Float(1.5)),
            (b"d:-INF;", Parsed::Float(f64::NEG_INFINITY)),
            (b"s:2:\"hi\";", Parsed::Bytes(b"hi")),
            (b"s:0:\"\";", Parsed::Bytes(b"")),
            (b"s:4:\"\";\"\0\";", Parsed::Bytes(b"\";\"\0")),
        ];
        for (text, value) in values {
            assert_eq!(parse(text), Ok(value));
        }
    }

    #[test]
    fn all_else_is_refused() {
        let strange: [&[u8]; 32] = [
            b"",
            b"N",
            b";",
            b"n;",
            b"N;N;",
            b"N; ",
            b"b:2;",
            b"b:;",
            b"b:01;",
            b"i:;",
            b"i:-;",
            b"i:+1;",
            b"i:01;",
            b"i:-0;",
            b"i:1",
            b"i:1.5;",
            b"i: 1;",
            b"i:9223372036854775808;",
            b"d:;",
            b"d:1",
            b"s:2:\"hi\"",
            b"s:2:hi;",
            b"s:3:\"hi\";",
            b"s:1:\"hi\";",
            b"s:-1:\"\";",
            b"s:02:\"hi\";",
            b"s:\"hi\";",
            b"s:99999999999999999999999:\"\";",
            b"s:18446744073709551615:\"\";",
            b"a:0:{}",
            b"O:8:\"stdClass\":0:{}",
            b"S:2:\"hi\";",
        ];
        for text in strange {
            assert!(parse(text).is_err(), "{}", String::from_utf8_lossy(text));
        }
    }
}
