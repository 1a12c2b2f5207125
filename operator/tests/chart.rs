//! The chart `charts/marketfeed`: what it renders for each of the values in its `ci/` folder, and what it refuses. Read by
//! the programs that people use (helm, kubeconform, helm-docs), which `cargo xtask test` installs where there is Go; where
//! there is none, a test that needs one says that it was skipped.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "what fails here fails a test"
)]

mod chart {
    /// The programs.
    pub(crate) mod tools;

    /// The chart for each case.
    pub(crate) mod rendered;

    /// An API server that has one object.
    pub(crate) mod found;

    /// Kubernetes' own schemas.
    pub(crate) mod schemas;

    mod conform;

    mod definition;

    mod documents;

    mod flags;

    mod nats;

    mod notes;

    mod pods;

    mod refusals;

    mod rights;
}
