// Pure: amounts as Kubernetes writes them, so that two can be compared.
#![deny(clippy::disallowed_methods)]

/// A billionth of the unit, below which Kubernetes knows nothing.
const NANO: i128 = 1_000_000_000;

/// The amount in billionths; `None` where it is not written as one, or is beyond all bounds.
pub(super) fn nanos(text: &str) -> Option<i128> {
    let is_number = |c: char| c.is_ascii_digit() || c == '.';
    let unsigned = text.trim_start_matches(['+', '-']);
    let end = unsigned.find(|c| !is_number(c)).unwrap_or(unsigned.len());
    let (number, suffix) = unsigned.split_at(end);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let digits: i128 = format!("{whole}{fraction}").parse().ok()?;
    let one = 10_i128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    let (times, by) = unit(suffix)?;
    let amount = digits.checked_mul(NANO)?.checked_mul(times)?;
    let amount = amount / one.checked_mul(by)?;
    Some(if text.starts_with('-') {
        -amount
    } else {
        amount
    })
}

/// What a suffix stands for: times the first, by the second.
fn unit(suffix: &str) -> Option<(i128, i128)> {
    let binary = |power: u32| Some((1_i128 << (10 * power), 1));
    let decimal = |power: u32| Some((10_i128.checked_pow(power)?, 1));
    match suffix {
        "" => decimal(0),
        "n" => Some((1, NANO)),
        "u" => Some((1, 1_000_000)),
        "m" => Some((1, 1_000)),
        "k" => decimal(3),
        "M" => decimal(6),
        "G" => decimal(9),
        "T" => decimal(12),
        "P" => decimal(15),
        "E" => decimal(18),
        "Ki" => binary(1),
        "Mi" => binary(2),
        "Gi" => binary(3),
        "Ti" => binary(4),
        "Pi" => binary(5),
        "Ei" => binary(6),
        exponent => {
            let power: i32 = exponent.strip_prefix(['e', 'E'])?.parse().ok()?;
            let (times, _) = decimal(power.unsigned_abs())?;
            Some(if power < 0 { (1, times) } else { (times, 1) })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts() {
        let check = |text: &str, expect: Option<i128>| assert_eq!(nanos(text), expect, "{text}");
        check("1", Some(NANO));
        check("+1.5", Some(NANO * 3 / 2));
        check("-1", Some(-NANO));
        check(".5", Some(NANO / 2));
        check("5.", Some(NANO * 5));
        check("500m", Some(NANO / 2));
        check("7n", Some(7));
        check("7u", Some(7_000));
        check("1k", Some(NANO * 1_000));
        check("1Ki", Some(NANO * 1_024));
        check("1Gi", Some(NANO << 30));
        check("1E", Some(NANO * 10_i128.pow(18)));
        check("1e3", Some(NANO * 1_000));
        check("1E-3", Some(NANO / 1_000));
        for wrong in [
            "",
            ".",
            "m",
            "1 Gi",
            "1.5.5",
            "1e",
            "1gi",
            "99999999999999999999999999999999E",
        ] {
            check(wrong, None);
        }
    }
}
