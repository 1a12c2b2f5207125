// Pure: seeded numbers, integers only, so that a seed means the same market everywhere and for ever.
#![deny(clippy::disallowed_methods)]

/// SplitMix64: small, good enough for markets, and ours, so that no upgrade changes what a seed means.
#[derive(Debug, Clone)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// Below `end`, evenly; 0 if `end` is 0.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        // The high half of the product is even to within 2^-64 of `end`.
        ((u128::from(self.next()) * u128::from(end)) >> 64) as u64
    }

    /// From `start` to `end`, both included.
    pub(crate) fn between(&mut self, start: u64, end: u64) -> u64 {
        start + self.below(end.saturating_sub(start) + 1)
    }

    /// True once in `n` times.
    pub(crate) fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    /// About exponentially distributed with this mean: `-log2(u)` with its fraction taken as linear, which
    /// bends the curve by some percent.
    pub(crate) fn exponential(&mut self, mean: u64) -> u64 {
        let bits = self.next() | 1;
        let halvings = bits.leading_zeros();
        let fraction = ((bits << halvings) << 1) >> 48;
        let log2 = (u64::from(halvings) << 16) + (0x1_0000 - fraction);
        // The mean of `log2` is 1.5 (one and a half halvings), in 16-bit fractions.
        (u128::from(mean) * u128::from(log2) / 98_304).min(u128::from(u64::MAX)) as u64
    }

    /// About normally distributed: the sum of twelve even numbers, with this deviation.
    pub(crate) fn normal(&mut self, deviation: i64) -> i64 {
        let sum: i64 = (0..12).map(|_| (self.next() >> 44).cast_signed()).sum();
        let centred = sum - 6 * (1 << 20);
        ((i128::from(centred) * i128::from(deviation)) >> 20) as i64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_distributions_have_their_means() {
        let mut random = Random::new(7);
        let mean =
            |draw: &mut dyn FnMut() -> i64| (0..100_000).map(|_| draw()).sum::<i64>() / 100_000;
        let exponential = mean(&mut || i64::try_from(random.exponential(10_000)).unwrap());
        assert!((9_500..10_500).contains(&exponential), "{exponential}");
        let normal = mean(&mut || random.normal(10_000));
        assert!((-200..200).contains(&normal), "{normal}");
        let square = mean(&mut || random.normal(1_000).pow(2));
        assert!((950_000..1_050_000).contains(&square), "{square}");
        assert!((0..1_000).all(|_| (3..=5).contains(&random.between(3, 5))));
    }

    #[test]
    fn a_seed_means_the_same_for_ever() {
        let mut random = Random::new(42);
        assert_eq!(
            [random.next(), random.next()],
            [13_679_457_532_755_275_413, 2_949_826_092_126_892_291]
        );
    }
}
