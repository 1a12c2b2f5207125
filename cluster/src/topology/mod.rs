//! Everything together, without containers: three NATS nodes, the exchange simulator, the processes of each shard, the
//! gateways and nginx. `cargo xtask cluster-local` shows it to people; the fault runs break it.

/// Who holds a shard's lease.
mod lease;

/// What it is made of. Pure.
mod options;

/// One process on the bus, with its own way there.
mod member;

/// What people are told of it.
mod told;

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;
use tempfile::TempDir;

pub use member::Member;
pub use options::{Options, TraceOptions};

use crate::nats::{NatsCluster, NatsOptions};
use crate::nginx::Nginx;
use crate::process::{Process, Program};
use crate::wait::PATIENCE;
use crate::{http, ports, tools};

/// The binary of a shard's process.
const MARKETDATA: &str = "marketfeed-marketdata";
/// The binary of a gateway.
const GATEWAY: &str = "marketfeed-gateway";
/// The binary of the exchanges' stand-in.
const EXCHANGE: &str = "exchange-sim";

/// The running parts. What is dropped ends; the order of the fields is the order of ending.
#[derive(Debug)]
pub struct Topology {
    nginx: Option<Nginx>,
    gateways: Vec<Member>,
    marketdata: Vec<Member>,
    exchange: Process,
    exchange_address: SocketAddr,
    nats: NatsCluster,
    assignment: PathBuf,
    folder: PathBuf,
    options: Options,
    /// Gone with it; none where the folder is to stay.
    _own: Option<TempDir>,
}

impl Topology {
    /// The first of the project's binaries that has not been built; all are when the whole workspace is tested.
    #[must_use]
    pub fn absent() -> Option<&'static str> {
        let names = [MARKETDATA, GATEWAY, EXCHANGE];
        names.into_iter().find(|name| tools::binary(name).is_err())
    }

    /// Starts all parts and waits until every one says that it is ready.
    ///
    /// # Errors
    /// When a program is not there, or a part does not get ready within a minute; the text names its log.
    pub async fn start(options: Options) -> Result<Self> {
        let (folder, own) = match &options.folder {
            Some(folder) => (folder.clone(), None),
            None => {
                let own = tempfile::tempdir().context("no temporary folder")?;
                (own.path().to_path_buf(), Some(own))
            }
        };
        fs::create_dir_all(&folder)
            .with_context(|| format!("cannot create {}", folder.display()))?;
        let nats = NatsCluster::start_in(&folder, &NatsOptions::default()).await?;
        let exchange_address = ports::free()?;
        let exchange = Program::new(
            EXCHANGE,
            tools::binary(EXCHANGE)?,
            folder.join("exchange-sim.log"),
        )
        .args(options.exchange_args(exchange_address))
        .start()?;
        let mut topology = Self {
            nginx: None,
            gateways: Vec::new(),
            marketdata: Vec::new(),
            exchange,
            exchange_address,
            nats,
            assignment: folder.join("assignment.json"),
            folder,
            options,
            _own: own,
        };
        topology.assign(topology.options.shards).await?;
        for shard in 0..topology.options.shards {
            topology.launch_shard(shard).await?;
        }
        for number in 0..topology.options.gateways {
            topology.launch_gateway(number).await?;
        }
        topology.ready().await?;
        if topology.options.nginx {
            topology.start_nginx().await?;
        }
        Ok(topology)
    }

    /// Waits until every part that runs says that it is ready.
    ///
    /// # Errors
    /// When one does not within a minute, or ends.
    pub async fn ready(&mut self) -> Result<()> {
        self.nats.ready().await?;
        self.exchange
            .wait_for_http(self.exchange_address, "/admin/status", PATIENCE)
            .await?;
        for member in self.marketdata.iter_mut().chain(&mut self.gateways) {
            member.ready().await?;
        }
        Ok(())
    }

    /// What it was made of.
    #[must_use]
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// Where configuration, data and logs are.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The servers of the bus.
    pub fn nats(&mut self) -> &mut NatsCluster {
        &mut self.nats
    }

    /// The simulator's address: venues, REST and `/admin`.
    #[must_use]
    pub fn exchange(&self) -> SocketAddr {
        self.exchange_address
    }

    /// The process of a shard by its number from 0, in the order of starting. Which one owns the shard is another
    /// matter: [`Topology::owner`].
    ///
    /// # Panics
    /// When there is no such process.
    pub fn marketdata(&mut self, shard: usize, nth: usize) -> &mut Member {
        let of_shard = |member: &&mut Member| member.shard() == Some(shard);
        match self.marketdata.iter_mut().filter(of_shard).nth(nth) {
            Some(member) => member,
            None => panic!("shard {shard} has no process {nth}"),
        }
    }

    /// A gateway by its number from 0.
    ///
    /// # Panics
    /// When there is no such gateway.
    pub fn gateway(&mut self, number: usize) -> &mut Member {
        &mut self.gateways[number]
    }

    /// Where clients connect: nginx, or the first gateway where there is none.
    ///
    /// # Panics
    /// When there is neither.
    #[must_use]
    pub fn front(&self) -> SocketAddr {
        let nginx = self.nginx.as_ref();
        nginx.map_or_else(|| self.gateways[0].listen(), Nginx::address)
    }

    /// nginx, where there is one.
    pub fn nginx(&mut self) -> Option<&mut Nginx> {
        self.nginx.as_mut()
    }

    /// The process that holds a shard's lease, by its number in [`Topology::marketdata`]; none while nobody does.
    ///
    /// # Errors
    /// When no NATS node answers.
    pub async fn owner(&self, shard: usize) -> Result<Option<usize>> {
        let mut answer = Err(anyhow::anyhow!("there is no NATS node"));
        for server in self.nats.addresses() {
            answer = lease::read(server, shard).await;
            if answer.is_ok() {
                break;
            }
        }
        let Some(holder) = answer? else {
            return Ok(None);
        };
        let of_shard = self
            .marketdata
            .iter()
            .filter(|member| member.shard() == Some(shard));
        // Each start of a process adds something of its own to the name that it was given.
        let holds = |member: &Member| {
            let own = holder.strip_prefix(member.name());
            own.is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
        };
        Ok(of_shard.map(holds).position(|holds| holds))
    }

    /// The assignment that the processes read again when it changes.
    #[must_use]
    pub fn assignment_file(&self) -> &Path {
        &self.assignment
    }

    /// Writes the assignment for so many shards: the one that follows the one in force, if there is one.
    ///
    /// # Errors
    /// When `marketfeed-marketdata assign` fails.
    pub async fn assign(&mut self, shards: usize) -> Result<()> {
        let file = &self.assignment;
        // It is replaced as a whole, so that whoever watches it sees whole ones only.
        let from = file.is_file().then_some(file.as_path());
        let args = self
            .options
            .assign_args(self.exchange_address, shards, from, file);
        self.program("assign", MARKETDATA)?
            .args(args)
            .run(PATIENCE)
            .await?;
        Ok(())
    }

    /// Which shard has which symbol, by the assignment's file.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn assigned(&self) -> Result<BTreeMap<String, u64>> {
        let text = fs::read_to_string(&self.assignment).context("cannot read the assignment")?;
        let file: Value = serde_json::from_str(&text).context("the assignment is no JSON")?;
        let sources = file["sources"].as_array().into_iter().flatten();
        let instruments =
            sources.flat_map(|source| source["instruments"].as_array().into_iter().flatten());
        let pairs = instruments
            .map(|one| Some((one["symbol"].as_str()?.to_owned(), one["shard"].as_u64()?)));
        pairs
            .collect::<Option<_>>()
            .context("the assignment has an instrument without a shard")
    }

    /// Starts the processes of a shard, and waits for nothing.
    ///
    /// # Errors
    /// When they cannot be started.
    pub async fn launch_shard(&mut self, shard: usize) -> Result<()> {
        for letter in ('a'..).take(self.options.instances) {
            let name = format!("md-{shard}-{letter}");
            let (options, assignment) = (&self.options, &self.assignment);
            let args =
                |nats: &str, admin| options.marketdata_args(assignment, shard, &name, nats, admin);
            let program = self.program(&name, MARKETDATA)?;
            let servers = self.nats.addresses();
            let member = Member::launch(program, &servers, Some(shard), None, args).await?;
            self.marketdata.push(member);
        }
        Ok(())
    }

    async fn launch_gateway(&mut self, number: usize) -> Result<()> {
        let listen = ports::free()?;
        let options = &self.options;
        let args = |nats: &str, admin| options.gateway_args(listen, nats, admin);
        let program = self.program(&format!("gw-{number}"), GATEWAY)?;
        let servers = self.nats.addresses();
        let member = Member::launch(program, &servers, None, Some(listen), args).await?;
        self.gateways.push(member);
        Ok(())
    }

    async fn start_nginx(&mut self) -> Result<()> {
        let gateways: Vec<_> = self.gateways.iter().map(Member::listen).collect();
        let listen = match self.options.listen {
            Some(listen) => listen,
            None => ports::free()?,
        };
        let folder = self.folder.join("nginx");
        self.nginx = Some(Nginx::start_in(&folder, listen, &gateways).await?);
        Ok(())
    }

    fn program(&self, name: &str, binary: &str) -> Result<Program> {
        let log = self.folder.join(format!("{name}.log"));
        Ok(Program::new(name, tools::binary(binary)?, log))
    }

    /// The bars that should come out of an instrument, as the simulator knows them.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn truth(&self, venue: &str, symbol: &str, interval: &str) -> Result<Value> {
        let path = format!("/admin/truth?venue={venue}&symbol={symbol}&interval={interval}");
        http::get_json(self.exchange_address, &path).await
    }

    /// Asks every part to stop, clients' side first, and kills what has not ended within `bound` each.
    pub async fn stop(mut self, bound: Duration) -> Vec<String> {
        let mut killed = Vec::new();
        let nginx = self.nginx.iter_mut().map(Nginx::process);
        let gateways = self.gateways.iter_mut().map(Member::process);
        let marketdata = self.marketdata.iter_mut().map(Member::process);
        let processes: Vec<_> = nginx
            .chain(gateways)
            .chain(marketdata)
            .chain([&mut self.exchange])
            .collect();
        // All at once: each has its own time to drain.
        for process in &processes {
            // One that has ended already has nothing to be told.
            let _ = process.ask_to_stop();
        }
        for process in processes {
            if process.pid().is_some() && process.ended(bound).await.is_err() {
                killed.push(process.name().to_owned());
            }
        }
        killed
    }
}
