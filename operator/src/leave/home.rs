//! An operator that stops because its own namespace is being removed. Its feeds there go too, and nobody comes after it who lets them
//! go.

use kube::Client;

use super::{Error, Feeds, api};
use crate::controller::{Where, is_terminating, try_create};

/// What it tries to make, and never does.
const NEVER_MADE: &str = "marketfeed-operator-stop";

/// Lets go of the feeds that are looked after in the operator's own namespace, if that is being removed, and says whether it is.
/// Pods are removed before the rights by which this is done.
///
/// # Errors
/// When the API server is away, or some could not be let go.
pub async fn let_go_at_home(client: &Client, home: &str, place: &Where) -> Result<bool, Error> {
    let Some(there) = place.within(home) else {
        return Ok(false);
    };
    if !is_going(client, home).await? {
        return Ok(false);
    }
    tracing::warn!(
        namespace = home,
        "it is being removed with this operator in it: its feeds are let go"
    );
    Feeds::looked_after(client, &there).let_go().await?;
    Ok(true)
}

/// The API server refuses then to make anything, and says why; whatever else it says, it is not.
async fn is_going(client: &Client, namespace: &str) -> Result<bool, Error> {
    match try_create(client, namespace, NEVER_MADE).await {
        Err(kube::Error::Api(status)) => Ok(is_terminating(&status)),
        Ok(_) => Ok(false),
        Err(source) => Err(api("ask whether its namespace is being removed")(source)),
    }
}
