//! The controller against an API server in memory: what it writes, when it writes nothing, and that it gets there from
//! wherever it was stopped.

#![allow(clippy::unwrap_used, reason = "what fails here fails a test")]

mod controller {
    pub(crate) mod api;

    pub(crate) mod scene;

    mod converging;

    mod going;

    mod leaving;

    mod leading;

    mod saying;

    mod refused;

    mod hearing;

    mod upgrading;

    mod others;

    mod marking;
}
