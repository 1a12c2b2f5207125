//! What it is to its shard, for people and for the operator: `GET /admin/shard`.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use serde::Serialize;

use crate::owner::Status;
use crate::service::Handle;

/// Set once there is an assignment.
pub(super) type Shown = Arc<OnceLock<Handle>>;

/// `{"instance":"…","shard":0,"role":"active","lease_held":true,…}`; fields are added, never changed.
#[derive(Debug, Serialize)]
struct View {
    instance: String,
    shard: u16,
    /// `waiting` before there is an assignment; then `standby`, `taking` or `active`.
    role: &'static str,
    lease_held: bool,
    claim: Option<u64>,
    generation: Option<u64>,
    level: bool,
    owned: usize,
    taking: usize,
    unowned: usize,
    leaving: usize,
    /// By reason.
    blocked: BTreeMap<&'static str, usize>,
    closes_waiting: usize,
    closes_committed: u64,
}

#[derive(Clone)]
struct Of {
    instance: String,
    shard: u16,
    shown: Shown,
}

/// The route.
pub(super) fn router(instance: String, shard: u16, shown: Shown) -> Router {
    let of = Of {
        instance,
        shard,
        shown,
    };
    Router::new()
        .route("/admin/shard", get(show))
        .with_state(of)
}

async fn show(State(of): State<Of>) -> Json<View> {
    let statuses = of.shown.get().map(Handle::statuses).unwrap_or_default();
    let status = statuses.into_iter().next().flatten();
    Json(view(of, status))
}

fn view(of: Of, status: Option<Status>) -> View {
    let Of {
        instance, shard, ..
    } = of;
    let Some(status) = status else {
        return View {
            instance,
            shard,
            role: "waiting",
            lease_held: false,
            claim: None,
            generation: None,
            level: false,
            owned: 0,
            taking: 0,
            unowned: 0,
            leaving: 0,
            blocked: BTreeMap::new(),
            closes_waiting: 0,
            closes_committed: 0,
        };
    };
    let mut blocked = BTreeMap::new();
    for (block, count) in status.blocked {
        *blocked.entry(block.as_str()).or_default() += count;
    }
    View {
        instance,
        shard,
        role: status.role.as_str(),
        lease_held: status.is_lease_held,
        claim: status.claim,
        generation: status.generation,
        level: status.is_level,
        owned: status.owned,
        taking: status.taking,
        unowned: status.unowned,
        leaving: status.leaving,
        blocked,
        closes_waiting: status.pending,
        closes_committed: status.counts.committed,
    }
}
