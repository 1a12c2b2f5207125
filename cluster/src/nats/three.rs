//! Three servers with one JetStream, on the same ports and folders as long as they live.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use tempfile::TempDir;

use super::config::{NatsOptions, Place};
use super::monitor::StreamState;
use super::server::{NatsServer, is_port_clash};
use crate::{ports, wait};

/// How often other ports are tried where some were taken meanwhile.
const STARTS_MAX: usize = 5;
/// Of them two are a quorum.
const NODES: usize = 3;

/// Three `nats-server` nodes; they and their data are gone when dropped.
#[derive(Debug)]
pub struct NatsCluster {
    nodes: Vec<NatsServer>,
    /// Gone with the servers; none where the folder is somebody else's.
    _own: Option<TempDir>,
}

impl NatsCluster {
    /// Three nodes with a temporary folder, ready for clients.
    ///
    /// # Errors
    /// As [`NatsServer::start`].
    pub async fn start() -> Result<Self> {
        Self::start_with(&NatsOptions::default()).await
    }

    /// As [`NatsCluster::start`], with more in every node's configuration.
    ///
    /// # Errors
    /// As [`NatsServer::start`].
    pub async fn start_with(options: &NatsOptions) -> Result<Self> {
        let own = tempfile::tempdir().context("no temporary folder")?;
        let mut cluster = Self::start_in(own.path(), options).await?;
        cluster._own = Some(own);
        Ok(cluster)
    }

    /// As [`NatsCluster::start_with`], with configuration, data and logs in `folder`, where they stay.
    ///
    /// # Errors
    /// As [`NatsServer::start`].
    pub async fn start_in(folder: &Path, options: &NatsOptions) -> Result<Self> {
        for _ in 1..STARTS_MAX {
            match Self::try_start(folder, options).await {
                Err(error) if is_port_clash(&error) => {}
                done => return done,
            }
        }
        Self::try_start(folder, options).await
    }

    async fn try_start(folder: &Path, options: &NatsOptions) -> Result<Self> {
        let routes = (0..NODES)
            .map(|_| ports::free())
            .collect::<Result<Vec<_>>>()?;
        let mut nodes = Vec::new();
        for (number, &route) in routes.iter().enumerate() {
            let place = Place {
                name: format!("n{}", number + 1),
                client: ports::free()?,
                monitor: ports::free()?,
                route: Some(route),
                routes: routes.clone(),
            };
            nodes.push(NatsServer::launch(place, folder, options)?);
        }
        let mut cluster = Self { nodes, _own: None };
        cluster.ready().await?;
        Ok(cluster)
    }

    /// Waits until JetStream answers on every node, and all agree on who leads it.
    ///
    /// # Errors
    /// When that takes longer than a minute, or a node ends.
    pub async fn ready(&mut self) -> Result<()> {
        for node in &mut self.nodes {
            node.ready().await?;
        }
        let nodes = &self.nodes;
        let agree = async || {
            let mut leaders = Vec::new();
            for node in nodes {
                leaders.push(node.meta_leader().await?);
            }
            let first = leaders.first().cloned().flatten();
            Ok(first.filter(|first| leaders.iter().all(|other| other.as_ref() == Some(first))))
        };
        wait::until("one leader of JetStream", wait::PATIENCE, agree).await?;
        Ok(())
    }

    /// The URLs of all nodes.
    #[must_use]
    pub fn urls(&self) -> Vec<String> {
        self.nodes.iter().map(NatsServer::url).collect()
    }

    /// Where clients connect, for [`crate::Link::to`].
    #[must_use]
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.nodes.iter().map(NatsServer::address).collect()
    }

    /// The nodes, `n1` first.
    #[must_use]
    pub fn nodes(&self) -> &[NatsServer] {
        &self.nodes
    }

    /// All of them, to be looked after.
    pub fn nodes_mut(&mut self) -> &mut [NatsServer] {
        &mut self.nodes
    }

    /// A node by its number from 0, to be killed, paused, restarted.
    ///
    /// # Panics
    /// When there is no such node.
    pub fn node(&mut self, number: usize) -> &mut NatsServer {
        &mut self.nodes[number]
    }

    /// The node that leads a stream, by its number from 0; waits for an election that goes on.
    ///
    /// # Errors
    /// When no running node names a leader within `bound`.
    pub async fn stream_leader(&self, stream: &str, bound: Duration) -> Result<usize> {
        wait::until(&format!("a leader of {stream}"), bound, async || {
            let state = self.stream(stream).await;
            Ok(state.and_then(|state| self.number_of(&state.leader?)))
        })
        .await
    }

    /// A stream as the node sees it that leads it, else as the first that answers.
    pub async fn stream(&self, name: &str) -> Option<StreamState> {
        let mut seen = Vec::new();
        for node in &self.nodes {
            // A node that is down says nothing; the others do.
            let Ok(streams) = node.streams().await else {
                continue;
            };
            let own = streams.into_iter().find(|stream| stream.name == name);
            seen.extend(own.map(|state| (node.name(), state)));
        }
        let led = |(node, state): &(&str, StreamState)| state.leader.as_deref() == Some(*node);
        let leading = seen.iter().position(led).unwrap_or(0);
        (leading < seen.len()).then(|| seen.swap_remove(leading).1)
    }

    /// Every stream that a running node knows, each as its leader sees it.
    pub async fn streams(&self) -> Vec<StreamState> {
        let mut names = Vec::new();
        for node in &self.nodes {
            let streams = node.streams().await.unwrap_or_default();
            names.extend(streams.into_iter().map(|stream| stream.name));
        }
        names.sort();
        names.dedup();
        let mut streams = Vec::new();
        for name in names {
            streams.extend(self.stream(&name).await);
        }
        streams
    }

    /// Waits until every copy of every stream is there and level.
    ///
    /// # Errors
    /// When one is not within `bound`.
    pub async fn level(&self, bound: Duration) -> Result<()> {
        wait::until("level streams", bound, async || {
            let streams = self.streams().await;
            Ok(streams.iter().all(StreamState::is_whole).then_some(()))
        })
        .await
    }

    /// The logs, `n1` first.
    #[must_use]
    pub fn logs(&self) -> Vec<PathBuf> {
        self.nodes.iter().map(NatsServer::log).collect()
    }

    fn number_of(&self, name: &str) -> Option<usize> {
        self.nodes.iter().position(|node| node.name() == name)
    }
}
