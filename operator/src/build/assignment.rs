// Pure: the assignment's ConfigMap, which the shards' pods mount.
#![deny(clippy::disallowed_methods)]

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::ConfigMap;
use wire::Assignment;

use super::meta;
use super::names::{self, ASSIGNMENT_KEY, Component, GENERATION_ANNOTATION};
use crate::ValidFeed;

pub(super) fn config_map(feed: &ValidFeed, assignment: &Assignment) -> ConfigMap {
    let labels = meta::labels(feed, Component::Marketdata, None);
    let mut metadata = meta::object(feed, names::assignment(&feed.identity), labels);
    let generation = assignment.generation().to_string();
    metadata.annotations = Some(BTreeMap::from([(
        GENERATION_ANNOTATION.to_owned(),
        generation,
    )]));
    ConfigMap {
        metadata,
        data: Some(BTreeMap::from([(
            ASSIGNMENT_KEY.to_owned(),
            assignment.to_json(),
        )])),
        ..ConfigMap::default()
    }
}
