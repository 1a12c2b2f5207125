// Pure: what a lease's entry says.
#![deny(clippy::disallowed_methods)]

use serde::{Deserialize, Serialize};

/// What a lease's entry says, as JSON: `{"owner":"…","claim":…,"ttl_ms":3000,"released":false,"nonce":7}`. Unknown
/// fields are ignored.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct LeaseValue {
    /// Who wrote it: unique to a start of a process.
    pub owner: String,
    /// Rises with each owner.
    pub claim: u64,
    /// How long it lasts unless it is renewed.
    pub ttl_ms: u64,
    /// Its owner has given it back.
    #[serde(default)]
    pub released: bool,
    /// Which of its owner's writes it is: how a write is recognised whose answer was lost.
    #[serde(default)]
    pub nonce: u64,
}

/// A time to live of another's that is believed. Longer ones are a mistake, or somebody's wish to keep the lease.
const TTL_MAX_MS: u64 = 60_000;

impl LeaseValue {
    /// Its text.
    ///
    /// # Panics
    /// Never: its fields are text and numbers.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        #[expect(clippy::expect_used)] // Neither a writer nor a key can fail here.
        serde_json::to_vec(self).expect("plain fields")
    }

    /// Reads its text; `None` if it is not that of a lease. Its revision tells its age all the same.
    #[must_use]
    pub fn decode(json: &[u8]) -> Option<Self> {
        let value: Self = serde_json::from_slice(json).ok()?;
        Some(Self {
            ttl_ms: value.ttl_ms.min(TTL_MAX_MS),
            ..value
        })
    }
}
