//! Numbers for people to read: three digits and a unit.

/// `1,024 bytes` as `1 KiB`, where it comes out even.
pub(crate) fn bytes(size: usize) -> String {
    match size {
        _ if size >= 1 << 20 && size.is_multiple_of(1 << 20) => format!("{} MiB", size >> 20),
        _ if size >= 1 << 10 && size.is_multiple_of(1 << 10) => format!("{} KiB", size >> 10),
        _ => format!("{size} B"),
    }
}

/// A unit, and how many of the smallest make one.
pub(crate) type Unit = (f64, &'static str);

/// The unit in which `ns` reads well.
pub(crate) fn time_unit(ns: f64) -> Unit {
    largest(ns, &[(1e9, "s"), (1e6, "ms"), (1e3, "us"), (1.0, "ns")])
}

/// The unit in which a rate reads well.
pub(crate) fn rate_unit(per_s: f64) -> Unit {
    largest(per_s, &[(1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, "")])
}

/// The largest unit of which there is one, when rounded to three digits.
fn largest(value: f64, units: &[Unit]) -> Unit {
    let fits = |&&(one, _): &&Unit| value >= one * 0.9995;
    *units.iter().find(fits).unwrap_or(&units[units.len() - 1])
}

/// Three digits: `1.25`, `12.5`, `125`, `1,250`.
pub(crate) fn digits(value: f64) -> String {
    if value < 9.995 {
        format!("{value:.2}")
    } else if value < 99.95 {
        format!("{value:.1}")
    } else {
        grouped(value)
    }
}

/// A value in a unit: `1.25 us`.
pub(crate) fn with_unit(value: f64, (one, name): Unit) -> String {
    let text = format!("{} {name}", digits(value / one));
    text.trim_end().to_owned()
}

/// A whole number, its thousands set apart.
fn grouped(value: f64) -> String {
    let plain = format!("{value:.0}");
    let mut text = String::new();
    for (at, digit) in plain.chars().enumerate() {
        if at > 0 && (plain.len() - at) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        let time = |ns| with_unit(ns, time_unit(ns));
        assert_eq!(time(48.0), "48.0 ns");
        assert_eq!(time(999.7), "1.00 us");
        assert_eq!(time(45_210.0), "45.2 us");
        assert_eq!(time(1_900_000.0), "1.90 ms");
        let rate = |per_s| with_unit(per_s, rate_unit(per_s));
        assert_eq!(rate(365e6), "365 M");
        assert_eq!(rate(900.0), "900");
        assert_eq!(digits(123_456.0), "123,456");
        assert_eq!(digits(0.034), "0.03");
        assert_eq!(bytes(64), "64 B");
        assert_eq!(bytes(65_536), "64 KiB");
        assert_eq!(bytes(1 << 20), "1 MiB");
        assert_eq!(bytes(1025), "1025 B");
    }
}
