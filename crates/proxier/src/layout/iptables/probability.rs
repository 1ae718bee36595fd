//! The probabilities by which one of several endpoints is chosen.

/// What the kernel counts probabilities in: parts of 2^31 (`xt_statistic.h`).
const WHOLE: u128 = 1 << 31;

/// One in `choices`, as `iptables-save` prints it after `--probability` where kube-proxy asked for it.
///
/// kube-proxy gives ten decimals. iptables rounds them to parts of 2^31 and prints those with eleven decimals, so that
/// one in three is `0.33333333349`.
pub(super) fn one_in(choices: usize) -> String {
    const TEN_DECIMALS: u128 = 10_000_000_000;
    const ELEVEN_DECIMALS: u128 = 100_000_000_000;
    let choices = u128::try_from(choices).unwrap_or(u128::MAX).max(1);
    let asked = divided(TEN_DECIMALS, choices);
    let kept = divided(asked * WHOLE, TEN_DECIMALS).min(WHOLE);
    let shown = divided(kept * ELEVEN_DECIMALS, WHOLE);
    format!(
        "{}.{:011}",
        shown / ELEVEN_DECIMALS,
        shown % ELEVEN_DECIMALS
    )
}

/// The quotient, rounded; halves to the even number, as C's `printf` does.
const fn divided(dividend: u128, divisor: u128) -> u128 {
    let (quotient, rest) = (dividend / divisor, dividend % divisor);
    let twice = rest * 2;
    if twice > divisor || twice == divisor && quotient % 2 == 1 {
        quotient + 1
    } else {
        quotient
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Read back with iptables-save v1.8.9 after `--probability` with ten decimals of one in so many.
    const READ_BACK: [(usize, &str); 25] = [
        (1, "1.00000000000"),
        (2, "0.50000000000"),
        (3, "0.33333333349"),
        (4, "0.25000000000"),
        (5, "0.20000000019"),
        (6, "0.16666666651"),
        (7, "0.14285714272"),
        (9, "0.11111111101"),
        (10, "0.10000000009"),
        (11, "0.09090909082"),
        (13, "0.07692307699"),
        (64, "0.01562500000"),
        (97, "0.01030927850"),
        (100, "0.00999999978"),
        (127, "0.00787401572"),
        (255, "0.00392156839"),
        (997, "0.00100300880"),
        (1000, "0.00100000016"),
        (1024, "0.00097656250"),
        (2048, "0.00048828125"),
        (4096, "0.00024414062"),
        (4999, "0.00020004017"),
        (5000, "0.00020000013"),
        (65536, "0.00001525879"),
        (1048576, "0.00000095367"),
    ];

    #[test]
    fn probabilities_are_those_that_iptables_prints() {
        for (choices, printed) in READ_BACK {
            assert_eq!(one_in(choices), printed, "one in {choices}");
        }
    }
}
