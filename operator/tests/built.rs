//! What is built of a feed: the objects of every example as golden files, and what must hold of all of them.

#![allow(clippy::unwrap_used, reason = "what fails here fails a test")]

mod built {
    pub(crate) mod feeds;

    mod golden;

    mod pods;

    mod restarts;

    mod variables;

    mod around;
}
