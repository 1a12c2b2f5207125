//! What people are told of a topology: where its parts are, and which of them have ended.

use std::fmt::Write;

use anyhow::Result;

use super::{Member, Topology};
use crate::nats::NatsServer;
use crate::nginx::Nginx;

impl Topology {
    /// A sentence for each part that ended by itself since the last look: its name, its status, its last words, its log.
    ///
    /// # Errors
    /// When the system does not say, or a log cannot be read.
    pub fn poll_ends(&mut self) -> Result<Vec<String>> {
        let mut ends: Vec<Option<String>> = Vec::new();
        for node in self.nats.nodes_mut() {
            ends.push(NatsServer::poll_end(node)?);
        }
        let nginx = self.nginx.iter_mut().map(Nginx::process);
        let gateways = self.gateways.iter_mut().map(Member::process);
        let marketdata = self.marketdata.iter_mut().map(Member::process);
        let ours = marketdata.chain(gateways).chain(nginx);
        for process in [&mut self.exchange].into_iter().chain(ours) {
            ends.push(process.poll_end()?);
        }
        Ok(ends.into_iter().flatten().collect())
    }

    /// One screen: what runs where, and where the logs are.
    #[must_use]
    pub fn summary(&self) -> String {
        let mut text = String::new();
        let mut line = |what: &str, wher: String, more: String| {
            let _ = writeln!(text, "  {what:<14} {wher:<30} {more}");
        };
        if let Some(nginx) = &self.nginx {
            let address = nginx.address();
            line(
                "nginx",
                format!("ws://{address}/ws"),
                "clients connect here".into(),
            );
        }
        for gateway in &self.gateways {
            let admin = format!("admin http://{}", gateway.admin());
            line(
                gateway.name(),
                format!("ws://{}/ws", gateway.listen()),
                admin,
            );
        }
        for member in &self.marketdata {
            let shard = member.shard().unwrap_or_default();
            let admin = format!("admin http://{}", member.admin());
            line(member.name(), format!("shard {shard}"), admin);
        }
        for node in self.nats.nodes() {
            let monitor = format!("monitor http://{}", node.monitor());
            line(&format!("nats {}", node.name()), node.url(), monitor);
        }
        let exchange = format!("http://{}", self.exchange_address);
        line(
            "exchange-sim",
            exchange,
            "truth and faults under /admin".into(),
        );
        line(
            "assignment",
            self.assignment.display().to_string(),
            String::new(),
        );
        line(
            "by hand",
            format!(
                "--env {} --region {}",
                self.options.env, self.options.region
            ),
            format!("--nats-url {}", self.nats.urls().join(",")),
        );
        line(
            "logs",
            format!("{}/*.log", self.folder.display()),
            String::new(),
        );
        text
    }
}
