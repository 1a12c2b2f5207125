// Pure: which frames' traces are taken, decided at the head of the path.
#![deny(clippy::disallowed_methods)]

/// How often something is sampled, in a million.
pub const ALL: u32 = 1_000_000;

/// Chooses frames at random, each as likely as any other. How many are to be passed over is drawn once for each that is
/// taken, so that one that is not costs a subtraction.
#[derive(Debug, Clone)]
pub struct Sampler {
    per_million: u32,
    /// Frames to pass over before the next one that is taken.
    left: u64,
    rng: fastrand::Rng,
}

impl Sampler {
    /// A sampler of so many in a million; of [`ALL`] and more it takes each.
    #[must_use]
    pub fn new(per_million: u32, rng: fastrand::Rng) -> Self {
        let mut sampler = Self {
            per_million,
            left: 0,
            rng,
        };
        sampler.left = sampler.draw();
        sampler
    }

    /// Whether the next frame is taken.
    #[inline]
    #[must_use]
    pub fn is_due(&self) -> bool {
        self.left == 0
    }

    /// A frame has come. Gives whether it is taken, as [`Sampler::is_due`] has said.
    #[inline]
    pub fn handle_frame(&mut self) -> bool {
        if self.left > 0 {
            // Of "never" nothing is left after half a million years.
            self.left -= 1;
            return false;
        }
        self.left = self.draw();
        true
    }

    /// The frames between two that are taken: geometrically distributed, as of a coin for each.
    fn draw(&mut self) -> u64 {
        match self.per_million {
            0 => u64::MAX,
            ALL.. => 0,
            per_million => {
                let taken = f64::from(per_million) / f64::from(ALL);
                // In (0, 1], so that its logarithm is finite.
                let uniform = 1.0 - self.rng.f64();
                // Saturates; the quotient is not negative.
                #[expect(clippy::cast_sign_loss, reason = "a quotient of two negative numbers")]
                let passed_over = (uniform.ln() / (-taken).ln_1p()) as u64;
                passed_over
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(per_million: u32, frames: u32) -> Vec<u32> {
        let mut sampler = Sampler::new(per_million, fastrand::Rng::with_seed(5));
        (0..frames)
            .filter(|_| {
                let due = sampler.is_due();
                assert_eq!(sampler.handle_frame(), due);
                due
            })
            .collect()
    }

    #[test]
    fn the_share_is_kept() {
        let check = |per_million: u32, frames: u32, low: usize, high: usize| {
            let count = taken(per_million, frames).len();
            assert!((low..=high).contains(&count), "{per_million}: {count}");
        };
        check(0, 100_000, 0, 0);
        check(ALL, 1_000, 1_000, 1_000);
        check(u32::MAX, 10, 10, 10);
        // Five standard deviations of a binomial distribution to each side.
        check(10_000, 1_000_000, 9_500, 10_500);
        check(500_000, 10_000, 4_750, 5_250);
        check(1, 10_000_000, 0, 26);
    }

    #[test]
    fn no_place_is_preferred() {
        // Of 100,000 at one in a hundred each residue of 10 has 100 on average; five deviations to each side.
        let mut residues = [0_u32; 10];
        for at in taken(10_000, 100_000) {
            residues[(at % 10) as usize] += 1;
        }
        assert!(
            residues.iter().all(|count| (50..=150).contains(count)),
            "{residues:?}"
        );
    }
}
