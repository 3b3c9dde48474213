//! Numbers in PostgreSQL's spelling, without allocation. It never rounds in silence.

use std::fmt::{self, Write as _};

/// Room for the longest number written here: 17 digits, sign, point and exponent, or an integer
/// below 1e19.
const MAX_DIGITS: usize = 40;
/// Decimal digits that every double holds exactly enough to give them back.
const SAFE_DIGITS: usize = 15;
/// Decimal digits that tell any two doubles apart.
const MAX_SIGNIFICANT: usize = 17;

/// A number as text, on the stack.
pub(super) struct Digits {
    buf: [u8; MAX_DIGITS],
    len: usize,
}

impl Digits {
    fn of(number: fmt::Arguments<'_>) -> Self {
        let mut digits = Self { buf: [0; MAX_DIGITS], len: 0 };
        // What does not fit is cut off; the callers write nothing longer.
        let _ = digits.write_fmt(number);
        digits
    }

    /// The shortest digits of a finite `f32` or `f64`, in JSON's spelling. Not the standard
    /// library's: of two equally near spellings PostgreSQL and JSON's printer take the even one.
    fn shortest(x: &impl serde::Serialize) -> Self {
        let mut buf = [0; MAX_DIGITS];
        let mut rest = buf.as_mut_slice();
        let _ = serde_json::to_writer(&mut rest, x);
        let len = MAX_DIGITS - rest.len();
        Self { buf, len }
    }

    pub(super) fn as_str(&self) -> &str {
        self.buf.get(..self.len).and_then(|b| std::str::from_utf8(b).ok()).unwrap_or_default()
    }
}

impl fmt::Write for Digits {
    fn write_str(&mut self, s: &str) -> fmt::Result {
        let end = self.len + s.len();
        let place = self.buf.get_mut(self.len..end).ok_or(fmt::Error)?;
        place.copy_from_slice(s.as_bytes());
        self.len = end;
        Ok(())
    }
}

/// How PostgreSQL spells what is no number, or `None` for a finite one.
pub(super) fn not_finite(x: f64) -> Option<&'static str> {
    if x.is_finite() {
        None
    } else if x.is_nan() {
        Some("NaN")
    } else if x > 0.0 {
        Some("Infinity")
    } else {
        Some("-Infinity")
    }
}

/// Writes a float as PostgreSQL prints a `float8`: the shortest digits that give the same number
/// back, `1` for 1.0, an exponent from `1e+15` and below `0.0001`.
pub(super) fn write_float(x: f64, out: &mut impl fmt::Write) -> fmt::Result {
    match not_finite(x) {
        Some(name) => out.write_str(name),
        None => {
            let gaps = (x.next_up() - x, x - x.next_down());
            let longer = [format_args!("{x:.15e}"), format_args!("{x:.16e}")];
            write_shortest(&inside(Digits::shortest(&x), x, gaps, longer), 15, out)
        }
    }
}

/// Writes a float as PostgreSQL prints a `float4`: the exponent begins at `1e+06`.
pub(super) fn write_float4(x: f32, out: &mut impl fmt::Write) -> fmt::Result {
    match not_finite(f64::from(x)) {
        Some(name) => out.write_str(name),
        None => write_shortest(&float4_digits(x), 6, out),
    }
}

/// PostgreSQL's digits of a finite `float4`.
fn float4_digits(x: f32) -> Digits {
    let gaps = (f64::from(x.next_up() - x), f64::from(x - x.next_down()));
    let longer = [format_args!("{x:.7e}"), format_args!("{x:.8e}")];
    inside(Digits::shortest(&x), f64::from(x), gaps, longer)
}

/// The shortest spelling that lies strictly between the midpoints to the neighbours of `x`, which
/// are `gaps` away above and below. A midpoint itself would be read back as `x` as well, but
/// PostgreSQL does not count on how a reader rounds. `longer`: with one digit more, and with all.
fn inside(shortest: Digits, x: f64, gaps: (f64, f64), longer: [fmt::Arguments<'_>; 2]) -> Digits {
    if !is_midpoint(shortest.as_str(), x, gaps) {
        return shortest;
    }
    let [one_more, all] = longer;
    let one_more = Digits::of(one_more);
    if is_midpoint(one_more.as_str(), x, gaps) { Digits::of(all) } else { one_more }
}

/// Whether `spelling` lies exactly half-way to a neighbour. Only whole numbers do: between others
/// the midpoint has more digits than any spelling.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole and bounded")]
fn is_midpoint(spelling: &str, x: f64, (above, below): (f64, f64)) -> bool {
    if !(2f64.powi(25)..2f64.powi(120)).contains(&x.abs()) || above.min(below) < 2.0 {
        return false;
    }
    let spelling = spelling.trim_start_matches('-');
    let (mantissa, exponent) = spelling.split_once('e').unwrap_or((spelling, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let fraction = fraction.trim_end_matches('0');
    let zeros = exponent.parse::<usize>().ok().and_then(|e| e.checked_sub(fraction.len()));
    let Some(zeros) = zeros else { return false };
    let Ok(spelt) = format!("{whole}{fraction}{:0<zeros$}", "").parse::<u128>() else {
        return false;
    };
    let exact = x.abs() as u128;
    // Away from zero is upwards for positive numbers only.
    let (outer, inner) = if x > 0.0 { (above, below) } else { (below, above) };
    let gap = if spelt > exact { outer } else { inner };
    spelt.abs_diff(exact) * 2 == gap as u128
}

/// Writes the number that is spelt in `spelling` with an exponent from `10^limit` on.
fn write_shortest(spelling: &Digits, limit: i32, out: &mut impl fmt::Write) -> fmt::Result {
    let (mantissa, exponent) = match spelling.as_str().split_once('e') {
        Some((mantissa, exponent)) => (mantissa, exponent.parse().unwrap_or(0)),
        None => (spelling.as_str(), 0i32),
    };
    let (sign, mantissa) = match mantissa.strip_prefix('-') {
        Some(mantissa) => ("-", mantissa),
        None => ("", mantissa),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let both = Digits::of(format_args!("{whole}{fraction}"));
    let significant = both.as_str().trim_start_matches('0');
    let leading_zeros = both.as_str().len() - significant.len();
    let digits = significant.trim_end_matches('0');
    // The power of ten of the first significant digit.
    let exponent = exponent + int(whole.len()) - 1 - int(leading_zeros);
    out.write_str(sign)?;
    let Some((first, others)) = digits.split_at_checked(1) else { return out.write_str("0") };
    if !(-4..limit).contains(&exponent) {
        let point = if others.is_empty() { "" } else { "." };
        let sign = if exponent < 0 { '-' } else { '+' };
        return write!(out, "{first}{point}{others}e{sign}{:02}", exponent.unsigned_abs());
    }
    let width = usize::try_from(exponent).map_or(0, |exponent| exponent + 1);
    match digits.split_at_checked(width) {
        _ if exponent < 0 => {
            let zeros = usize::try_from(-exponent - 1).unwrap_or(0);
            write!(out, "0.{:0<zeros$}{digits}", "")
        }
        Some((whole, "")) => out.write_str(whole),
        Some((whole, fraction)) => write!(out, "{whole}.{fraction}"),
        None => write!(out, "{digits:0<width$}"),
    }
}

/// A count of digits, a few dozen at most.
fn int(count: usize) -> i32 {
    i32::try_from(count).unwrap_or(0)
}

/// Writes a float for an integer type: whole numbers digit by digit, for `int8` takes no `1e+15`.
#[expect(clippy::cast_possible_truncation, reason = "whole and below 1e19")]
pub(super) fn write_float_as_integer(x: f64, out: &mut impl fmt::Write) -> fmt::Result {
    if x.fract() == 0.0 && x.abs() < 1e19 {
        write!(out, "{}", x as i128)
    } else {
        write_float(x, out)
    }
}

/// The double with the same shortest digits: 0.1 for the `float4` 0.1, not 0.10000000149.
pub(super) fn widen(x: f32) -> f64 {
    if x.fract() == 0.0 && x.abs() < 16_777_216.0 || !x.is_finite() {
        return f64::from(x);
    }
    float4_digits(x).as_str().parse().unwrap_or(f64::from(x))
}

/// Reads what an integer type prints.
#[inline]
pub(super) fn parse_integer(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    // 18 digits cannot overflow: the common case takes no checks.
    if digits.is_empty() || digits.len() > 18 {
        return std::str::from_utf8(text).ok()?.parse().ok();
    }
    let mut n = 0i64;
    for digit in digits {
        let digit = digit.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        n = n * 10 + i64::from(digit);
    }
    Some(if negative { -n } else { n })
}

/// The double that a JSON number stands for, if it keeps every digit of it.
///
/// A number of `n` significant digits is kept when its nearest double, printed with `n` digits or
/// as short as possible, is that number again.
pub(super) fn lossless_float(number: &str) -> Option<f64> {
    let x: f64 = number.parse().ok().filter(|x: &f64| x.is_finite())?;
    let mantissa = number.split(['e', 'E']).next().unwrap_or_default();
    let digits = mantissa.bytes().filter(u8::is_ascii_digit).skip_while(|d| *d == b'0');
    let significant = |digits: &mut dyn Iterator<Item = u8>| {
        digits.enumerate().filter(|(_, d)| *d != b'0').last().map_or(0, |(index, _)| index + 1)
    };
    let count = significant(&mut digits.clone());
    if count == 0 || (count <= SAFE_DIGITS && x.is_normal()) {
        return Some(x);
    }
    if count > MAX_SIGNIFICANT {
        return None;
    }
    let same = |printed: Digits| {
        let mantissa = printed.as_str().split('e').next().unwrap_or_default();
        mantissa.bytes().filter(u8::is_ascii_digit).eq(digits.clone().take(count))
    };
    // Where `n` digits are a tie the shortest spelling may round the other way.
    let same = same(Digits::of(format_args!("{x:.*e}", count - 1)))
        || same(Digits::of(format_args!("{x:e}")));
    same.then_some(x)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn float(x: f64) -> String {
        let mut out = String::new();
        write_float(x, &mut out).unwrap();
        out
    }

    #[test]
    fn floats_are_spelt_as_postgresql_prints_them() {
        for (x, text) in [
            (1.0, "1"),
            (-0.0, "-0"),
            (0.1, "0.1"),
            (123_456.789, "123456.789"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (999_999_999_999_999.0, "999999999999999"),
            (1e15, "1e+15"),
            (1.5e300, "1.5e+300"),
            (120.0, "120"),
            (-0.00012, "-0.00012"),
            (-726_627_084_651_787.0 - 0.25, "-726627084651787.2"),
            (f64::MIN_POSITIVE, "2.2250738585072014e-308"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "Infinity"),
            (f64::NEG_INFINITY, "-Infinity"),
        ] {
            assert_eq!(float(x), text);
        }
    }

    #[test]
    fn midpoints_to_a_neighbour_are_not_used() {
        assert_eq!(float(36_481_935_863_982_496.0), "3.6481935863982496e+16");
        assert_eq!(float(-36_481_935_863_982_496.0), "-3.6481935863982496e+16");
        assert_eq!(float(1e22), "1e+22");
        assert_eq!(float(f64::MAX), "1.7976931348623157e+308");
    }

    #[test]
    fn float4_has_its_own_digits_and_exponent() {
        for (x, text) in [
            (0.1, "0.1"),
            (100_000.0, "100000"),
            (1_234_567.0, "1.234567e+06"),
            (1_393_705.0 + 0.25, "1.3937052e+06"),
            (0.00001, "1e-05"),
            (f32::MAX, "3.4028235e+38"),
            (f32::NAN, "NaN"),
        ] {
            let mut out = String::new();
            write_float4(x, &mut out).unwrap();
            assert_eq!(out, text);
        }
    }

    #[test]
    fn whole_floats_are_integers_to_integer_types() {
        let mut out = String::new();
        for x in [3.0, -9e18, 1e15, 3.5, 1e20, 2f64.powi(60), -0.0] {
            write_float_as_integer(x, &mut out).unwrap();
            out.push(' ');
        }
        assert_eq!(out, "3 -9000000000000000000 1000000000000000 3.5 1e+20 1152921504606846976 0 ");
    }

    #[test]
    fn integers_are_read_to_the_last_one() {
        for n in [0, 7, -1, i64::MAX, i64::MIN, 999_999_999_999_999_999, 4_294_967_295] {
            assert_eq!(parse_integer(n.to_string().as_bytes()), Some(n));
        }
        for bad in ["", "-", "1a", "9223372036854775808", " 1", "1.0", "--1"] {
            assert_eq!(parse_integer(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn json_numbers_become_floats_only_when_nothing_is_lost() {
        for kept in ["0.1", "1.10", "1e22", "1.0", "-0", "0.0", "0.30000000000000004", "1E-7"] {
            assert_eq!(lossless_float(kept), kept.parse().ok(), "{kept}");
        }
        for kept in
            ["1.7976931348623157e308", "5e-324", "0.10000000000000001", "100.00000000000000000"]
        {
            assert!(lossless_float(kept).is_some(), "{kept}");
        }
        for lost in [
            "1e400",
            "1e-400",
            "4e-324",
            "123456789012345678901234567890",
            "0.1000000000000000055",
            "9007199254740993.0",
            "3.14159265358979323846",
        ] {
            assert_eq!(lossless_float(lost), None, "{lost}");
        }
    }

    proptest! {
        #[test]
        fn every_float_survives(x in proptest::num::f64::ANY) {
            let back: f64 = float(x).parse().unwrap();
            prop_assert!(back.to_bits() == x.to_bits() || x.is_nan());
            if x.is_finite() {
                prop_assert_eq!(lossless_float(&float(x)), Some(x));
            }
        }

        #[test]
        fn a_widened_float4_has_the_same_digits(x in proptest::num::f32::ANY) {
            // Above, PostgreSQL's digits may be others than the printer's: see `inside`.
            proptest::prop_assume!(x.abs() < 33_554_432.0);
            prop_assume!(x.is_finite());
            prop_assert_eq!(widen(x) as f32, x);
            let json = serde_json::to_string(&x).unwrap();
            prop_assert_eq!(widen(x), json.parse::<f64>().unwrap());
        }
    }
}
