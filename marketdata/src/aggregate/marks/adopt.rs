// Pure: what is known to be missing, after another process has gone on with the instrument.
#![deny(clippy::disallowed_methods)]

use super::{Cause, Gap, Marks, Outage};

/// First millisecond, and the first after it.
type Stretch = (i64, i64);

impl Marks {
    /// What is missing from the other's bars is missing. Where it was alive and lacks nothing, nothing was missed by us:
    /// `holes` are the ids that it lacks, as stretches of time with both ends included. What ids show is left to
    /// [`Marks::heal`].
    pub(in crate::aggregate) fn adopt(
        &mut self,
        other: &Self,
        holes: impl Iterator<Item = Stretch>,
        keep_ms: i64,
    ) {
        // A state is one whose feed is lost from some time on; one that is not says nothing of now.
        let ends = other.outages.iter().any(|outage| outage.to_ms == i64::MAX);
        if ends {
            let holes = holes.map(|(lo_ms, hi_ms)| (lo_ms, hi_ms.saturating_add(1)));
            self.clip(&other.unclear(holes));
        }
        let told = |outage: &&Outage| outage.told && !self.outages.contains(outage);
        let told: Vec<Outage> = other.outages.iter().filter(told).copied().collect();
        self.outages.splice(0..0, told);
        let gaps = other.gaps.iter();
        let gaps = gaps.filter(|gap| !self.gaps.contains(gap));
        let gaps: Vec<Gap> = gaps.copied().collect();
        self.gaps.splice(0..0, gaps);
        self.prune(keep_ms);
    }

    /// The stretches in which something may be missing, in order, apart from each other.
    fn unclear(&self, holes: impl Iterator<Item = Stretch>) -> Vec<Stretch> {
        let gaps = self.gaps.iter();
        let gaps = gaps.map(|gap| (gap.lo_ms, gap.hi_ms.saturating_add(1)));
        let outages = self
            .outages
            .iter()
            .map(|outage| (outage.from_ms, outage.to_ms));
        let mut all: Vec<Stretch> = gaps.chain(outages).chain(holes).collect();
        all.sort_unstable();
        let mut apart: Vec<Stretch> = Vec::with_capacity(all.len());
        for (from_ms, to_ms) in all {
            match apart.last_mut() {
                Some(last) if from_ms <= last.1 => last.1 = last.1.max(to_ms),
                _ => apart.push((from_ms, to_ms)),
            }
        }
        apart
    }

    /// Leaves of the losses of our feed what is within these. Ids that are missing are left as they are, and so is
    /// what lasts.
    fn clip(&mut self, to: &[Stretch]) {
        let within = |from_ms: i64, to_ms: i64| {
            let parts = to.iter().map(move |&(a, b)| (a.max(from_ms), b.min(to_ms)));
            parts.filter(|(a, b)| a < b)
        };
        for outage in std::mem::take(&mut self.outages) {
            if outage.lasting {
                self.outages.push(outage);
                continue;
            }
            let parts = within(outage.from_ms, outage.to_ms);
            self.outages.extend(parts.map(|(from_ms, to_ms)| Outage {
                from_ms,
                to_ms,
                ..outage
            }));
        }
        for gap in std::mem::take(&mut self.gaps) {
            if gap.cause != Cause::Loss {
                self.gaps.push(gap);
                continue;
            }
            let parts = within(gap.lo_ms, gap.hi_ms.saturating_add(1));
            self.gaps.extend(parts.map(|(lo_ms, end_ms)| Gap {
                lo_ms,
                hi_ms: end_ms - 1,
                ..gap
            }));
        }
    }
}
