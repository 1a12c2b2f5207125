//! Writes to the API server. All that is applied is by server-side apply, under one name.

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ConfigMap, Pod, Service};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::api::{Api, ApiResource, DeleteParams, DynamicObject, Patch, PatchParams};
use kube::{Client, Resource};
use serde_json::{Value, json};

use super::ledger::{Key, Version};
use super::stores::version;
use crate::build::names::{FIELD_MANAGER, REPLICAS_FIELD_MANAGER};
use crate::spec::{MarketFeed, MarketFeedStatus};

/// Writes in one namespace.
#[derive(Clone)]
pub(super) struct Writes<'a> {
    pub(super) client: &'a Client,
    pub(super) namespace: &'a str,
}

impl Writes<'_> {
    /// Applies an object, and gives its version then.
    pub(super) async fn apply(&self, object: &Value) -> kube::Result<Version> {
        let Key { kind, name } = Key::of(object);
        let params = PatchParams::apply(FIELD_MANAGER).force();
        let applied = self
            .dynamic(&kind)?
            .patch(&name, &params, &Patch::Apply(object))
            .await?;
        let meta = applied.metadata;
        Ok(version(meta.generation, meta.resource_version.as_deref()))
    }

    /// Says how many pods a Deployment has, under a name of its own: an autoscaler may take that over and give it back.
    pub(super) async fn scale(&self, deployment: &str, replicas: i32) -> kube::Result<Version> {
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
        Ok(version(
            scaled.metadata.generation,
            scaled.metadata.resource_version.as_deref(),
        ))
    }

    /// What is gone already is deleted.
    pub(super) async fn delete(&self, key: &Key) -> kube::Result<()> {
        let params = DeleteParams::background();
        match self.dynamic(&key.kind)?.delete(&key.name, &params).await {
            Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
            other => other.map(|_| ()),
        }
    }

    /// Changes an annotation of a pod that runs, which makes the kubelet refresh its files. A pod that is gone needs it no
    /// more.
    pub(super) async fn annotate_pod(&self, pod: &str, key: &str, value: &str) -> kube::Result<()> {
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
        feed: &MarketFeed,
        finalizers: &[String],
    ) -> kube::Result<()> {
        let name = feed.metadata.name.as_deref().unwrap_or_default();
        let patch = json!({ "metadata": {
            "finalizers": finalizers,
            "resourceVersion": feed.metadata.resource_version,
        } });
        self.feeds()
            .patch(name, &PatchParams::default(), &Patch::Merge(&patch))
            .await
            .map(|_| ())
    }

    pub(super) async fn status(&self, feed: &str, status: &MarketFeedStatus) -> kube::Result<()> {
        let patch = json!({
            "apiVersion": MarketFeed::api_version(&()),
            "kind": MarketFeed::kind(&()),
            "metadata": { "name": feed },
            "status": status,
        });
        let feeds: Api<DynamicObject> = Api::namespaced_with(
            self.client.clone(),
            self.namespace,
            &ApiResource::erase::<MarketFeed>(&()),
        );
        let params = PatchParams::apply(FIELD_MANAGER).force();
        feeds
            .patch_status(feed, &params, &Patch::Apply(&patch))
            .await
            .map(|_| ())
    }

    /// As [`Writes::status`], of an object whose spec does not fit the definition: the server applies nothing to such a one, but
    /// takes a patch that leaves the spec as it is.
    pub(super) async fn status_of_undecodable(
        &self,
        feed: &str,
        status: &MarketFeedStatus,
    ) -> kube::Result<()> {
        let feeds: Api<DynamicObject> = Api::namespaced_with(
            self.client.clone(),
            self.namespace,
            &ApiResource::erase::<MarketFeed>(&()),
        );
        let patch = Patch::Merge(json!({ "status": status }));
        let params = PatchParams {
            field_manager: Some(FIELD_MANAGER.to_owned()),
            ..PatchParams::default()
        };
        feeds.patch_status(feed, &params, &patch).await.map(|_| ())
    }

    fn feeds(&self) -> Api<MarketFeed> {
        Api::namespaced(self.client.clone(), self.namespace)
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
