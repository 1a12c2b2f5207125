//! The definition of the resource: it is what `crds/` holds, structural, bounded and small; and it refuses what it should,
//! in words that help. There is no API server here: [`schema`] reads the definition as one does.

#![allow(clippy::unwrap_used, reason = "what fails here fails a test")]

mod definition {
    pub(crate) mod feeds;

    pub(crate) mod schema;

    mod carried;

    mod examples;

    mod refusals;

    mod shape;
}
