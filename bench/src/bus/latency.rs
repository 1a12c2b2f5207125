// Pure: how long messages took.
#![deny(clippy::disallowed_methods)]

use std::time::Duration;

/// Every one of them: half a million at most.
#[derive(Debug, Default)]
pub(crate) struct Latencies {
    all: Vec<Duration>,
}

impl Latencies {
    pub(crate) fn add(&mut self, one: Duration) {
        self.all.push(one);
    }

    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }

    /// `p50 1.2 ms, p99 3.4 ms, max 5.6 ms`
    pub(crate) fn text(&mut self) -> String {
        self.all.sort_unstable();
        let ms = |per_cent: usize| match self.all.len() {
            0 => f64::NAN,
            // The nearest rank.
            len => self.all[(len * per_cent).div_ceil(100) - 1].as_secs_f64() * 1e3,
        };
        let (p50, p99, max) = (ms(50), ms(99), ms(100));
        format!("p50 {p50:>6.1} ms   p99 {p99:>6.1} ms   max {max:>6.1} ms")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_ranks() {
        let mut latencies = Latencies::default();
        for ms in (1..=200).rev() {
            latencies.add(Duration::from_millis(ms));
        }
        assert_eq!(
            latencies.text(),
            "p50  100.0 ms   p99  198.0 ms   max  200.0 ms"
        );
        let mut one = Latencies::default();
        one.add(Duration::from_millis(7));
        assert!(one.text().starts_with("p50    7.0 ms   p99    7.0"));
        assert!(Latencies::default().text().contains("NaN"));
    }
}
