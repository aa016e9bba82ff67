//! Floats as PHP writes and reads them.

use std::io::Write;

/// So many digits stand before the point, or zeros behind it; more take an exponent.
const DIGITS: i32 = 17;
const ZEROS: i32 = 3;

/// The shortest digits that give `value` again, laid out as by PHP with `serialize_precision` -1, its
/// default: `1`, `0.1`, `1.0E+25`, `-INF`.
pub(super) fn write(value: f64, out: &mut Vec<u8>) {
    if value.is_nan() {
        return out.extend_from_slice(b"NAN");
    }
    if value.is_sign_negative() {
        out.push(b'-');
    }
    if value.is_infinite() {
        return out.extend_from_slice(b"INF");
    }
    let mut buffer = [0; 17];
    let (digits, exponent) = digits(value.abs(), &mut buffer);
    let point = exponent + 1; // so many digits stand before it
    if !(-ZEROS..=DIGITS).contains(&point) {
        let (first, rest) = digits.split_at(1);
        out.extend_from_slice(first);
        out.push(b'.');
        out.extend_from_slice(if rest.is_empty() { b"0" } else { rest });
        let sign = if exponent < 0 { '-' } else { '+' };
        let _ = write!(out, "E{sign}{}", exponent.abs()); // to a vector: it cannot fail
        return;
    }
    let zeros = |count: i32| std::iter::repeat_n(b'0', usize::try_from(count).unwrap_or(0));
    let Ok(point) = usize::try_from(point).map(|point| point.min(digits.len())) else {
        out.extend_from_slice(b"0.");
        out.extend(zeros(-point));
        return out.extend_from_slice(digits);
    };
    let (whole, fraction) = digits.split_at(point);
    out.extend_from_slice(if whole.is_empty() { b"0" } else { whole });
    out.extend(zeros(
        exponent + 1 - i32::try_from(digits.len()).unwrap_or(0),
    ));
    if !fraction.is_empty() {
        out.push(b'.');
        out.extend_from_slice(fraction);
    }
}

/// The number that PHP has written: its digits, a point or none, an exponent or none; or `INF`,
/// `-INF`, `NAN`. One that is beyond all floats is none.
pub(super) fn read(text: &[u8]) -> Option<f64> {
    match text {
        b"INF" => return Some(f64::INFINITY),
        b"-INF" => return Some(f64::NEG_INFINITY),
        b"NAN" => return Some(f64::NAN),
        _ => {}
    }
    let rest = text.strip_prefix(b"-").unwrap_or(text);
    let (mantissa, exponent) = split(rest, b'E');
    let (whole, fraction) = split(mantissa, b'.');
    let signs = [b'+', b'-'];
    let exponent = exponent.map(|text| match text.split_first() {
        Some((sign, digits)) if signs.contains(sign) => digits,
        _ => text,
    });
    let all_digits = |part: &[u8]| !part.is_empty() && part.iter().all(u8::is_ascii_digit);
    let well_formed = all_digits(whole)
        && (whole == b"0" || whole[0] != b'0')
        && fraction.is_none_or(all_digits)
        && exponent.is_none_or(all_digits);
    let value: f64 = std::str::from_utf8(text)
        .ok()
        .filter(|_| well_formed)?
        .parse()
        .ok()?;
    value.is_finite().then_some(value)
}

/// The shortest digits, and the exponent of the first.
fn digits(value: f64, buffer: &mut [u8; 17]) -> (&[u8], i32) {
    let mut text = [0; 32];
    let mut room = &mut text[..];
    let _ = write!(room, "{value:e}"); // 24 bytes at most
    let left = room.len();
    let (mantissa, exponent) = split(&text[..32 - left], b'e');
    let mut count = 0;
    for &digit in mantissa.iter().filter(|digit| digit.is_ascii_digit()) {
        buffer[count] = digit;
        count += 1;
    }
    let exponent = exponent.and_then(|exponent| std::str::from_utf8(exponent).ok()?.parse().ok());
    (&buffer[..count], exponent.unwrap_or(0))
}

/// What stands before the first `mark`, and what behind it.
fn split(text: &[u8], mark: u8) -> (&[u8], Option<&[u8]>) {
    match text.iter().position(|&byte| byte == mark) {
        Some(at) => (&text[..at], Some(&text[at + 1..])),
        None => (text, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn written(value: f64, text: &str) {
        let mut out = Vec::new();
        write(value, &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), text);
        let back = read(text.as_bytes()).unwrap();
        assert!(back.to_bits() == value.to_bits() || back.is_nan() && value.is_nan());
    }

    #[test]
    fn as_php_writes_them() {
        written(0.0, "0");
        written(-0.0, "-0");
        written(1.0, "1");
        written(1.5, "1.5");
        written(-12.25, "-12.25");
        written(0.1, "0.1");
        written(0.1 + 0.2, "0.30000000000000004");
        written(100.0, "100");
        written(0.0001, "0.0001");
        written(0.00012, "0.00012");
        written(0.00001, "1.0E-5");
        written(1.5e-7, "1.5E-7");
        written(1e16, "10000000000000000");
        written(1e17, "1.0E+17");
        written(1.25e25, "1.25E+25");
        written(9_223_372_036_854_775_808.0, "9.223372036854776E+18");
        written(f64::MAX, "1.7976931348623157E+308");
        written(5e-324, "5.0E-324"); // PHP 4.9406564584124654E-324 with precision 17
        written(f64::INFINITY, "INF");
        written(f64::NEG_INFINITY, "-INF");
        written(f64::NAN, "NAN");
    }

    /// With `serialize_precision` 17, and from PHP before 7.1.
    #[test]
    fn more_digits_than_needed_are_read() {
        assert_eq!(read(b"0.10000000000000001"), Some(0.1));
        assert_eq!(read(b"1.0000000000000001E-5"), Some(1e-5));
        assert_eq!(read(b"1.0E+25"), Some(1e25));
        assert_eq!(
            read(b"9.2233720368547758E+18"),
            Some(9_223_372_036_854_775_808.0)
        );
    }

    #[test]
    fn all_else_is_no_number() {
        let strange = [
            "", "-", ".", "1.", ".5", "+1", "01", "00", "--1", "1E", "1E+", "1e5", "1.5.5",
            "1E5E5", "inf", "nan", "-NAN", "+INF", "infinity", " 1", "1 ", "0x10", "1_0", "1E999",
            "-1E999", "1,5",
        ];
        for text in strange {
            assert_eq!(read(text.as_bytes()), None, "{text}");
        }
        assert_eq!(read(b"1E-999"), Some(0.0));
    }
}
