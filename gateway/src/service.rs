//! Runs it all: bind, start, drain, stop.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use prometheus_client::registry::Registry;
use runtime::admin::Ready;
use runtime::broker::Broker;
use runtime::shutdown::Shutdown;
use runtime::tasks::{OnExit, Spawner, TaskError, Tasks};
use tokio::sync::Semaphore;
use wire::Scope;
use wire::api::{FeedReport, TopicEntry};

use crate::catalogue::Catalogue;
use crate::handshake::Door;
use crate::inbox::Inbox;
use crate::intake::{FirstWord, Heard, Intake};
use crate::metrics::Metrics;
use crate::options::{Options, STOP_MARGIN};
use crate::replayer::{Replayer, replayer};
use crate::seats::Seats;
use crate::shard::{Place, Shard};
use crate::{files, http};

/// Connections that the kernel keeps until they are accepted: a second's worth of a reconnect storm.
const BACKLOG: i32 = 4_096;
/// After a failed accept, which is usually a full file table: time for some to be closed.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// A bound gateway that does not run yet.
pub struct Service {
    options: Options,
    listener: TcpListener,
    address: SocketAddr,
    broker: Arc<dyn Broker>,
    router: Router,
    door: Door,
    shards: Vec<Shard>,
    replayer: Replayer,
    catalogue: Catalogue,
    heard: Heard,
    metrics: Metrics,
    ready: Option<Ready>,
}

/// Looks at a gateway from outside. Clones look at the same.
#[derive(Debug, Clone)]
pub struct Handle {
    seats: Arc<Seats>,
    catalogue: Catalogue,
    scope: Scope,
    heard: Heard,
}

impl Handle {
    /// Open WebSockets.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.seats.taken()
    }

    /// What is carried, as far as is known.
    #[must_use]
    pub fn topics(&self) -> Vec<TopicEntry> {
        self.catalogue.list()
    }

    /// What is heard of each instrument.
    #[must_use]
    pub fn feed(&self) -> FeedReport {
        self.heard.report(&self.scope)
    }
}

/// Why a gateway does not run, or stopped.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// Which one.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The system gives no epoll for a shard.
    #[error("cannot set up a shard: {0}")]
    Shard(#[source] io::Error),
    /// A part of it failed.
    #[error(transparent)]
    Task(#[from] TaskError),
}

impl Service {
    /// Binds the address. `http` is served beside the WebSocket routes: the page, the API, the admin
    /// endpoints, as the caller likes; [`Service::with_api`] adds what a gateway has of its own.
    ///
    /// # Errors
    /// When the address or a shard's epoll cannot be had.
    pub fn bind(
        options: Options,
        broker: Arc<dyn Broker>,
        http: Router,
        registry: &mut Registry,
    ) -> Result<Self, ServiceError> {
        let (listener, address) =
            listen(options.listen).map_err(|source| ServiceError::Listen {
                address: options.listen,
                source,
            })?;
        let connections_max = files::make_room(options.connections_max);
        let metrics = Metrics::register(registry);
        let count = options.shards.max(1);
        let (questions, replayer) = replayer(&metrics);
        let mut shards = Vec::with_capacity(count);
        let mut inboxes = Vec::with_capacity(count);
        for index in 0..count {
            let place = Place { index, count };
            let (shard, inbox) = Shard::new(
                place,
                options.limits(),
                &options.topics,
                questions.clone(),
                metrics.clone(),
            )
            .map_err(ServiceError::Shard)?;
            shards.push(shard.traced(options.tracer.clone()));
            inboxes.push(inbox);
        }
        let door = Door {
            seats: Seats::new(connections_max, count, metrics.connections.clone()),
            inboxes: inboxes.into(),
            metrics: metrics.clone(),
            http_life_max: options.http_life_max,
            // After our own judgement, so that a slow client is closed by it and counted as slow.
            user_timeout: options.write_lag_max + options.close_wait + STOP_MARGIN,
        };
        Ok(Self {
            router: door.routes().merge(http),
            catalogue: Catalogue::new(&options.topics),
            heard: Heard::new(options.fresh_max),
            options,
            listener,
            address,
            broker,
            door,
            shards,
            replayer,
            metrics,
            ready: None,
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// A way to look at it while it runs.
    #[must_use]
    pub fn handle(&self) -> Handle {
        Handle {
            seats: Arc::clone(&self.door.seats),
            catalogue: self.catalogue.clone(),
            scope: self.options.scope.clone(),
            heard: self.heard.clone(),
        }
    }

    /// Serves [`http::public`] too.
    #[must_use]
    pub fn with_api(mut self) -> Self {
        self.router = self.router.merge(http::public(self.catalogue.clone()));
        self
    }

    /// Sets this condition while it accepts. It does not wait for the bus: a gateway serves what it has.
    #[must_use]
    pub fn with_ready(mut self, ready: Ready) -> Self {
        self.ready = Some(ready);
        self
    }

    /// Runs until asked to stop; then lingers, drains, and ends within [`Options::stop_max`].
    ///
    /// # Errors
    /// When a part of it fails, or does not stop in time.
    pub async fn run(self, shutdown: Shutdown) -> Result<(), ServiceError> {
        // The parts have a request of their own: they are stopped in order, one after the other.
        let (tasks, stop) = Tasks::new("gateway");
        let accepting = stop.child();
        // Not a child: after a failure too the shards get their time to close.
        let drained = Shutdown::new();
        let shards = Shards {
            seats: Arc::clone(&self.door.seats),
            inboxes: Arc::clone(&self.door.inboxes),
        };
        let (linger, drain, rest) = (
            self.options.linger,
            self.options.drain,
            self.options.close_wait + STOP_MARGIN,
        );
        let ready = self.start(&tasks, &accepting, &drained)?;
        tokio::select! {
            () = shutdown.requested() => {
                drop(ready);
                tracing::info!(linger_ms = linger.as_millis(), drain_ms = drain.as_millis(), "draining");
                tokio::select! {
                    () = tokio::time::sleep(linger) => {}
                    () = stop.requested() => {}
                }
            }
            () = stop.requested() => {}
        }
        accepting.trigger();
        let over = if stop.is_requested() {
            Duration::ZERO
        } else {
            drain
        };
        shards.drain(over);
        tokio::select! {
            () = drained.requested() => {}
            () = tokio::time::sleep(over + rest) => {}
        }
        stop.trigger();
        Ok(tasks.run_until_stopped(STOP_MARGIN).await?)
    }

    /// Starts the shards, the intake and the accept loop. The last shard to end triggers `drained`.
    fn start(
        self,
        tasks: &Tasks,
        accepting: &Shutdown,
        drained: &Shutdown,
    ) -> Result<Option<Ready>, ServiceError> {
        let last = Arc::new(Last(drained.clone()));
        for (index, shard) in self.shards.into_iter().enumerate() {
            let last = Arc::clone(&last);
            let run = move || {
                let result = shard.run();
                drop(last);
                result
            };
            // A shard ends when it has drained, which is before the group is asked to stop.
            tasks.spawn_thread(format!("shard-{index}"), OnExit::StopOnFailure, run)?;
        }
        self.replayer
            .start(tasks, &self.broker, &self.options.scope, &self.door.inboxes);
        let intake = Intake {
            broker: self.broker,
            scope: self.options.scope,
            closes_from: self.options.closes_from,
            inboxes: Arc::clone(&self.door.inboxes),
            catalogue: self.catalogue,
            heard: self.heard,
            first_word: FirstWord::default(),
            metrics: self.metrics,
            tracer: self.options.tracer,
        };
        let first_word = intake.first_word.clone();
        let first_word_max = if self.options.topics.is_empty() {
            self.options.first_word_max
        } else {
            Duration::ZERO
        };
        tasks.spawn_until_stop("intake-open", OnExit::StopAll, intake.clone().run_opens());
        tasks.spawn_until_stop("intake-closes", OnExit::StopAll, intake.run_closes());
        let accept = Accept {
            listener: self.listener,
            address: self.address,
            door: self.door,
            router: self.router,
            http_max: self.options.http_max,
            spawner: tasks.spawner(),
        };
        let accepting = accepting.clone();
        tasks.spawn("accept", OnExit::StopOnFailure, async move {
            // Until then the kernel keeps who comes. Without a word the gateway serves what it has.
            let _ = tokio::time::timeout(first_word_max, first_word.requested()).await;
            tokio::select! {
                failed = accept.run() => failed,
                () = accepting.requested() => Ok(()),
            }
        });
        if let Some(ready) = &self.ready {
            ready.set(true);
        }
        Ok(self.ready)
    }
}

/// A running gateway's shards. They are threads, which nothing cuts: whoever drops the run drains them at once.
struct Shards {
    seats: Arc<Seats>,
    inboxes: Arc<[Inbox]>,
}

impl Shards {
    /// Takes no connection any more, then closes those that there are.
    fn drain(&self, over: Duration) {
        self.seats.close();
        for inbox in self.inboxes.iter() {
            inbox.put_drain(over);
        }
    }
}

impl Drop for Shards {
    /// At the end of a run that has drained nobody is left to hear it.
    fn drop(&mut self) {
        self.drain(Duration::ZERO);
    }
}

/// Triggers when the last of its holders is gone, by panic too.
struct Last(Shutdown);

impl Drop for Last {
    fn drop(&mut self) {
        self.0.trigger();
    }
}

/// The accept loop's belongings.
struct Accept {
    listener: TcpListener,
    address: SocketAddr,
    door: Door,
    router: Router,
    http_max: usize,
    spawner: Spawner,
}

impl Accept {
    async fn run(self) -> Result<(), ServiceError> {
        let listener = tokio::net::TcpListener::from_std(self.listener).map_err(|source| {
            ServiceError::Listen {
                address: self.address,
                source,
            }
        })?;
        let http = Arc::new(Semaphore::new(self.http_max));
        loop {
            // Nobody closes the semaphore; if somebody did, accepting would be over.
            let Ok(permit) = Arc::clone(&http).acquire_owned().await else {
                return Ok(());
            };
            match listener.accept().await {
                Ok((socket, peer)) => {
                    let serve = self.door.clone().serve(socket, peer, self.router.clone());
                    // An HTTP connection has nothing to finish at a stop that its client could not repeat.
                    self.spawner
                        .spawn_until_stop("http", OnExit::Log, async move {
                            serve.await;
                            drop(permit);
                        });
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
}

fn listen(address: SocketAddr) -> io::Result<(TcpListener, SocketAddr)> {
    let domain = socket2::Domain::for_address(address);
    let socket = socket2::Socket::new(domain, socket2::Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    let listener = TcpListener::from(socket);
    let address = listener.local_addr()?;
    Ok((listener, address))
}
