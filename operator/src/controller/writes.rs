//! Writes to the API server. All that is applied is by server-side apply, under one name.

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ConfigMap, Pod, Service};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{
    Api, ApiResource, DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams,
};
use kube::{Client, Resource, ResourceExt};
use serde_json::{Value, json};

use super::ledger::Key;
use super::standing::{Standing, version};
use crate::build::names::{FEED_LABEL, FIELD_MANAGER, REPLICAS_FIELD_MANAGER};
use crate::metrics::Metrics;
use crate::spec::{MarketFeed, MarketFeedStatus};

/// Writes in one namespace.
#[derive(Clone)]
pub(super) struct Writes<'a> {
    pub(super) client: &'a Client,
    pub(super) namespace: &'a str,
    pub(super) metrics: &'a Metrics,
}

/// Whether what others say of an object is overwritten.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Force {
    /// It is ours, and what others have changed of it is put right.
    Yes,
    /// It is new: what is there of that name is somebody else's, and is refused.
    No,
}

impl Writes<'_> {
    /// Applies an object, and gives how it stands then.
    pub(super) async fn apply(&self, object: &Value, force: Force) -> kube::Result<Standing> {
        let Key { kind, name } = Key::of(object);
        self.metrics.handle_write(&kind, "apply");
        let mut params = PatchParams::apply(FIELD_MANAGER);
        params.force = force == Force::Yes;
        let applied = self
            .dynamic(&kind)?
            .patch(&name, &params, &Patch::Apply(object))
            .await?;
        standing(&kind, applied)
    }

    /// Makes an object that must not be there, and gives how it stands. Not by an apply: of an object without fields that two
    /// could fight over, such as a ConfigMap, that would make what is there part ours.
    pub(super) async fn create(&self, object: &Value) -> kube::Result<Standing> {
        let kind = Key::of(object).kind;
        self.metrics.handle_write(&kind, "create");
        let object: DynamicObject =
            serde_json::from_value(object.clone()).map_err(kube::Error::SerdeError)?;
        let params = PostParams {
            field_manager: Some(FIELD_MANAGER.to_owned()),
            ..PostParams::default()
        };
        let made = self.dynamic(&kind)?.create(&params, &object).await?;
        standing(&kind, made)
    }

    /// The object of that name, if it is there. Asked only after a refusal: what is watched has our label, and may be behind. A
    /// list of one, so that nobody has to be allowed to get single objects.
    pub(super) async fn find(&self, key: &Key) -> kube::Result<Option<DynamicObject>> {
        let of_name = ListParams::default().fields(&format!("metadata.name={}", key.name));
        let found = self.dynamic(&key.kind)?.list(&of_name).await?;
        Ok(found.items.into_iter().next())
    }

    /// A feed as it is, whether or not this release can read it.
    pub(super) async fn find_feed(&self, feed: &str) -> kube::Result<Option<DynamicObject>> {
        let of_name = ListParams::default().fields(&format!("metadata.name={feed}"));
        Ok(self.feeds().list(&of_name).await?.items.into_iter().next())
    }

    /// Deployments that the feed of this UID has, whether or not they are watched yet.
    pub(super) async fn deployments(&self, feed: &str, uid: &str) -> kube::Result<Vec<Key>> {
        let of_feed = ListParams::default().labels(&format!("{FEED_LABEL}={feed}"));
        let found = self.dynamic("Deployment")?.list(&of_feed).await?;
        let own = found.iter().filter(|object| is_owned(*object, uid));
        let key = |object: &DynamicObject| Key {
            kind: "Deployment".to_owned(),
            name: object.name_any(),
        };
        Ok(own.map(key).collect())
    }

    /// Sets the labels of an object that is ours, and nothing else of it: by them it is watched.
    pub(super) async fn label(&self, object: &Value) -> kube::Result<()> {
        let Key { kind, name } = Key::of(object);
        self.metrics.handle_write(&kind, "patch");
        let patch = json!({ "metadata": { "labels": object["metadata"]["labels"] } });
        let params = PatchParams {
            field_manager: Some(FIELD_MANAGER.to_owned()),
            ..PatchParams::default()
        };
        let labelled = self.dynamic(&kind)?;
        let labelled = labelled.patch(&name, &params, &Patch::Merge(&patch)).await;
        labelled.map(|_| ())
    }

    /// Says how many pods a Deployment has, under a name of its own: an autoscaler may take that over and give it back.
    pub(super) async fn scale(&self, deployment: &str, replicas: i32) -> kube::Result<Standing> {
        self.metrics.handle_write("Deployment", "apply");
        let wanted = json!({
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": { "name": deployment },
            "spec": { "replicas": replicas },
        });
        let params = PatchParams::apply(REPLICAS_FIELD_MANAGER).force();
        let scaled = self
            .dynamic("Deployment")?
            .patch(deployment, &params, &Patch::Apply(&wanted))
            .await?;
        standing("Deployment", scaled)
    }

    /// What is gone already is deleted.
    pub(super) async fn delete(&self, key: &Key) -> kube::Result<()> {
        self.metrics.handle_write(&key.kind, "delete");
        let params = DeleteParams::background();
        match self.dynamic(&key.kind)?.delete(&key.name, &params).await {
            Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
            other => other.map(|_| ()),
        }
    }

    /// Changes an annotation of a pod that runs, which makes the kubelet refresh its files. A pod that is gone needs it no
    /// more.
    pub(super) async fn annotate_pod(&self, pod: &str, key: &str, value: &str) -> kube::Result<()> {
        self.metrics.handle_write("Pod", "patch");
        let patch = json!({ "metadata": { "annotations": { key: value } } });
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), self.namespace);
        match pods
            .patch(pod, &PatchParams::default(), &Patch::Merge(&patch))
            .await
        {
            Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
            other => other.map(|_| ()),
        }
    }

    /// Sets the finalizers of a feed that is as it was read.
    pub(super) async fn finalizers(
        &self,
        feed: &ObjectMeta,
        finalizers: &[String],
    ) -> kube::Result<()> {
        self.metrics.handle_write("MarketFeed", "patch");
        let name = feed.name.as_deref().unwrap_or_default();
        let patch = json!({ "metadata": {
            "finalizers": finalizers,
            "resourceVersion": feed.resource_version,
        } });
        self.feeds()
            .patch(name, &PatchParams::default(), &Patch::Merge(&patch))
            .await
            .map(|_| ())
    }

    /// Says how a feed is, and gives its version then, and which fields the definition has not: an older one refuses an apply
    /// of them, and is told the others.
    pub(super) async fn status(
        &self,
        feed: &str,
        status: &MarketFeedStatus,
    ) -> kube::Result<(u64, Vec<String>)> {
        let mut patch = json!({
            "apiVersion": MarketFeed::api_version(&()),
            "kind": MarketFeed::kind(&()),
            "metadata": { "name": feed },
            "status": status,
        });
        let params = PatchParams::apply(FIELD_MANAGER).force();
        let mut lacking = Vec::new();
        loop {
            self.metrics.handle_write("MarketFeed", "apply");
            let feeds = self.feeds();
            let applied = Patch::Apply(&patch);
            let said = feeds.patch_status(feed, &params, &applied).await;
            let error = match said {
                Ok(feed) => return Ok((version(&feed.metadata), lacking)),
                Err(error) => error,
            };
            let undeclared = undeclared(&error);
            let fields = patch["status"].as_object_mut();
            let removed = fields.map_or(0, |fields| {
                let removed = undeclared.iter().filter_map(|name| fields.remove(name));
                removed.count()
            });
            if removed == 0 {
                return Err(error);
            }
            lacking.extend(undeclared);
        }
    }

    /// Says of a feed that cannot be read how it is. Not by an apply: that is refused where what is there is not of the
    /// definition's types.
    pub(super) async fn status_of_unreadable(
        &self,
        feed: &str,
        status: &MarketFeedStatus,
    ) -> kube::Result<()> {
        self.metrics.handle_write("MarketFeed", "patch");
        let patch = json!({ "status": status });
        let params = PatchParams {
            field_manager: Some(FIELD_MANAGER.to_owned()),
            ..PatchParams::default()
        };
        self.feeds()
            .patch_status(feed, &params, &Patch::Merge(&patch))
            .await
            .map(|_| ())
    }

    /// As they are, whether or not this release can read them.
    fn feeds(&self) -> Api<DynamicObject> {
        let resource = ApiResource::erase::<MarketFeed>(&());
        Api::namespaced_with(self.client.clone(), self.namespace, &resource)
    }

    fn dynamic(&self, kind: &str) -> kube::Result<Api<DynamicObject>> {
        let resource = match kind {
            "ConfigMap" => ApiResource::erase::<ConfigMap>(&()),
            "Service" => ApiResource::erase::<Service>(&()),
            "Deployment" => ApiResource::erase::<Deployment>(&()),
            "PodDisruptionBudget" => ApiResource::erase::<PodDisruptionBudget>(&()),
            "HorizontalPodAutoscaler" => ApiResource::erase::<HorizontalPodAutoscaler>(&()),
            "NetworkPolicy" => ApiResource::erase::<NetworkPolicy>(&()),
            "Job" => ApiResource::erase::<Job>(&()),
            other => {
                return Err(kube::Error::Service(
                    format!("{other} is no kind that is applied").into(),
                ));
            }
        };
        Ok(Api::namespaced_with(
            self.client.clone(),
            self.namespace,
            &resource,
        ))
    }
}

/// Asks whether a ConfigMap of that name may be made, and makes none: of a namespace that is being removed the API server says so
/// then, before anybody else is asked.
pub(crate) async fn try_create(client: &Client, namespace: &str, name: &str) -> kube::Result<()> {
    let all: Api<ConfigMap> = Api::namespaced(client.clone(), namespace);
    let object = ConfigMap {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            ..ObjectMeta::default()
        },
        ..ConfigMap::default()
    };
    let dry_run = PostParams {
        dry_run: true,
        field_manager: Some(FIELD_MANAGER.to_owned()),
    };
    all.create(&dry_run, &object).await.map(|_| ())
}

/// Fields of the status for which an apply is refused as the definition has not got them, or not all of what is in them. The API
/// server has no reason of its own for it: `.status.summary: field not declared in schema`.
fn undeclared(error: &kube::Error) -> Vec<String> {
    let kube::Error::Api(status) = error else {
        return Vec::new();
    };
    let told = status.message.split(": field not declared in schema");
    let mut parts: Vec<&str> = told.collect();
    // What follows the last of them is about none.
    parts.pop();
    let field = |part: &&str| {
        let (_, path) = part.rsplit_once(".status.")?;
        let name = path.split(['.', '[']).next()?;
        Some(name.to_owned())
    };
    parts.iter().filter_map(field).collect()
}

fn standing(kind: &str, object: DynamicObject) -> kube::Result<Standing> {
    Standing::of_dynamic(kind, object).map_err(kube::Error::SerdeError)
}

/// Whether the feed of this UID owns it.
pub(super) fn is_owned(object: &impl ResourceExt, uid: &str) -> bool {
    let mut owners = object.owner_references().iter();
    owners.any(|owner| owner.uid == uid)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As servers say it; one, several, and something else.
    #[test]
    fn fields_that_are_not_declared_are_named() {
        let of = |message: &str| {
            let status = kube::core::Status {
                message: message.to_owned(),
                ..kube::core::Status::default()
            };
            undeclared(&kube::Error::Api(Box::new(status)))
        };
        let typed = "failed to create typed patch object (market/crypto; marketfeed.dev/v1alpha1, Kind=MarketFeed): ";
        assert_eq!(
            of(&format!(
                "{typed}.status.summary: field not declared in schema"
            )),
            ["summary"]
        );
        assert_eq!(
            of(&format!(
                "{typed}errors:\n  .status.shards[shard=0].owner: field not declared in schema\n  \
                 .status.version: field not declared in schema"
            )),
            ["shards", "version"]
        );
        assert_eq!(
            of(&format!("{typed}.spec.a: field not declared in schema")),
            [""; 0]
        );
        assert_eq!(of("etcdserver: leader changed"), [""; 0]);
        // What is said after it is about no field.
        let more = "field not declared in schema; .status.version is kept";
        assert_eq!(of(&format!("{typed}.status.summary: {more}")), ["summary"]);
    }
}
