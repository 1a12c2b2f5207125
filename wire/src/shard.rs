// Pure: which shard an instrument belongs to, the same in every process and every release.
use std::fmt;
use std::num::NonZeroU16;

use crate::Instrument;

/// A numbered set of instruments, from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShardId(pub u16);

/// How many shards there are.
pub type ShardCount = NonZeroU16;

impl ShardId {
    /// The shard with the highest weight for the instrument (rendezvous hashing, Thaler and Ravishankar 1998):
    /// one more shard takes its share from the others and moves nothing between them.
    pub fn of(instrument: &Instrument, shards: ShardCount) -> Self {
        let weights = Weights::of(instrument);
        let best = (0..shards.get()).max_by_key(|&shard| (weights.at(Self(shard)), shard));
        Self(best.unwrap_or(0))
    }
}

/// What each shard weighs for one instrument.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Weights(u64);

impl Weights {
    pub(crate) fn of(instrument: &Instrument) -> Self {
        let key = [
            instrument.venue.as_str().as_bytes(),
            b"/",
            instrument.symbol.as_str().as_bytes(),
        ];
        Self(fnv1a(key.into_iter().flatten().copied()))
    }

    /// The higher, the sooner it goes there.
    pub(crate) fn at(self, shard: ShardId) -> u64 {
        mix(self.0 ^ mix(u64::from(shard.0) + 1))
    }
}

impl fmt::Display for ShardId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// FNV-1a, 64 bits: fixed for all time, unlike the standard library's hashers.
fn fnv1a(bytes: impl Iterator<Item = u8>) -> u64 {
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// The finaliser of SplitMix64 (Steele, Lea and Flood 2014).
fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Symbol, Venue};

    fn instruments() -> Vec<Instrument> {
        let venue = Venue::new(Venue::BINANCE_SPOT).unwrap();
        (0..1_000)
            .map(|n| Instrument::new(venue.clone(), Symbol::new(&format!("S{n}-USDT")).unwrap()))
            .collect()
    }

    #[test]
    fn one_more_shard_moves_only_its_share() {
        let (four, five) = (ShardCount::new(4).unwrap(), ShardCount::new(5).unwrap());
        let mut moved = 0;
        for instrument in instruments() {
            let (before, after) = (
                ShardId::of(&instrument, four),
                ShardId::of(&instrument, five),
            );
            if before != after {
                assert_eq!(after, ShardId(4), "an instrument moved between old shards");
                moved += 1;
            }
        }
        assert!(
            (150..250).contains(&moved),
            "{moved} of 1000 moved to the fifth shard"
        );
    }

    #[test]
    fn placement_never_changes_between_releases() {
        let check = |venue: &str, symbol: &str, expect: u16| {
            let instrument =
                Instrument::new(Venue::new(venue).unwrap(), Symbol::new(symbol).unwrap());
            assert_eq!(
                ShardId::of(&instrument, ShardCount::new(16).unwrap()),
                ShardId(expect),
                "{instrument}"
            );
        };
        check("binance-spot", "BTC-USDT", 14);
        check("coinbase", "BTC-USD", 8);
        check("coinbase-advanced", "ETH-USD", 13);
    }
}
