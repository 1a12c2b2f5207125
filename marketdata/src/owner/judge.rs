// Pure: what a checkpoint that is not ours means to us.
#![deny(clippy::disallowed_methods)]

use wire::ShardId;

use super::checkpoint::Checkpoint;

/// Who we are.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Identity {
    /// Unique to this start of this process.
    pub owner: String,
    /// The shard that it serves.
    pub shard: ShardId,
}

/// Why an instrument is not taken now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Block {
    /// Its checkpoint knows a newer assignment than we do.
    Generation,
    /// Another shard holds it under the assignment that gives it to us: two assignments have one generation.
    Contested,
    /// Its checkpoint cannot be read: to go on without it would number closes anew.
    Unreadable,
    /// A later claim to the shard wrote it: ours must be raised above that first.
    Outclaimed,
    /// It comes from another shard, and we do not hear it yet, or fetch what is missing of it.
    NotLevel,
    /// A bar is committed that we have yet to close: its owner before us was told of the market a moment earlier.
    Behind,
}

impl Block {
    /// The words for logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Generation => "its checkpoint knows a newer assignment",
            Self::Contested => "another shard has it under this same generation",
            Self::Unreadable => "its checkpoint cannot be read",
            Self::Outclaimed => "a later claim to the shard has it",
            Self::NotLevel => "it is another shard's until we are level",
            Self::Behind => "a bar is committed that we have yet to close",
        }
    }
}

/// What to do about an instrument that is to be ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Take it; `moved` if another shard has it.
    Take { moved: bool },
    /// A process of our shard with this claim has it: who holds the lease has a higher one.
    Outclaimed(u64),
    /// Leave it.
    Leave(Block),
}

/// Judges an instrument that `generation` gives us, by its checkpoint.
///
/// Between shards the newer assignment decides. Within a shard it is the later claim: two claims of one shard are
/// never equal, as each is made by a compare-and-set, so that whoever wrote a higher one has had the lease after us.
pub(super) fn judge(me: &Identity, claim: u64, generation: u64, stored: &Checkpoint) -> Verdict {
    if stored.owner == me.owner {
        return Verdict::Take { moved: false };
    }
    if stored.shard == me.shard && stored.claim >= claim {
        return Verdict::Outclaimed(stored.claim);
    }
    if stored.generation > generation {
        return Verdict::Leave(Block::Generation);
    }
    let moved = stored.shard != me.shard;
    if moved && stored.generation == generation {
        return Verdict::Leave(Block::Contested);
    }
    Verdict::Take { moved }
}
