//! Every order of events in small worlds: two processes, what they ask, and what may become of it. Each world begins
//! with an owner that has committed a bar, and is bounded by how often each kind of thing may happen.
//!
//! A request is carried out by its server, and later its answer gets to the process; or the process gives it up, before
//! or after that, and it is carried out later or never. Reads are answered as they are carried out: that what was read
//! is old by then is shown by the write that follows. A process acts when it is answered, and when it is its turn: that
//! it does not have its turn is how it is paused.

use marketdata::owner::{Command, CommitOutcome, LeaseAnswer, LeaseCommand, Level};
use wire::ShardId;

use crate::log::Log;
use crate::node::{LeaseEntry, Node};

/// What a world is made of, and how it begins.
mod world;

/// What must hold.
mod check;

/// The worlds, and how every state of them is reached.
mod explore;

use self::world::World;

/// How often what may happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Budget {
    /// As much time as a lease lasts, at once: all that may be due by then is, in any order.
    time: u32,
    /// A second of the market.
    ticks: u32,
    /// An answer that does not come.
    lost: u32,
    crashes: u32,
    /// The assignment changes.
    moves: u32,
    /// A process is told to stop.
    stops: u32,
    /// A feed comes, is whole, or goes.
    feeds: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Action {
    Time,
    Tick,
    /// The process has its turn.
    Turn(usize),
    /// Its lease request is carried out.
    Lease(usize),
    LeaseAnswer(usize),
    LeaseLost(usize),
    /// What it asks of the log is carried out.
    Log(usize),
    LogAnswer(usize),
    LogLost(usize),
    /// What was given up is carried out after all.
    Late(usize),
    Crash(usize),
    Start(usize),
    /// It is told to stop.
    Stop(usize),
    /// Its feed comes where it is away, has all where something is being fetched, and goes where it has all.
    Feed(usize),
    /// The next assignment is in force.
    Assign,
}

/// A request and, once it is carried out, its answer.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Asked<C, A> {
    command: C,
    answer: Option<A>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Place {
    shard: ShardId,
    node: Option<Node>,
    starts: u32,
    /// The assignment that it has.
    generation: u64,
    /// How well it hears every instrument. It is told nothing of the market where its feed is away.
    level: Level,
    lease: Option<Asked<LeaseCommand, LeaseAnswer>>,
    log: Option<Asked<Command, CommitOutcome>>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct State {
    now_ms: u64,
    tick: i64,
    places: [Place; 2],
    leases: [LeaseEntry; 2],
    log: Log,
    /// Given up, and not carried out.
    late: Vec<(ShardId, Command)>,
    /// Which assignment is in force.
    generation: u64,
    left: Budget,
}

impl State {
    fn start(&mut self, world: World, at: usize) {
        let place = &mut self.places[at];
        place.starts += 1;
        place.generation = 0;
        let name = format!("p{at}.{}", place.starts);
        place.node = Some(Node::new(name, place.shard, world.options()));
        self.turn(world, at);
    }

    fn turn(&mut self, world: World, at: usize) {
        let place = &mut self.places[at];
        let Some(node) = &mut place.node else {
            return;
        };
        if place.generation != self.generation {
            place.generation = self.generation;
            node.assign(self.now_ms, &world.assigned(place.shard, self.generation));
        }
        node.act(self.now_ms);
        for instrument in world.instruments() {
            node.level(self.now_ms, instrument, place.level);
            if place.level != Level::Away {
                node.feed(instrument, self.tick);
            }
        }
        node.close();
        while let Some(command) = node.poll(self.now_ms, self.now_ms, 0) {
            match command {
                Command::Lease(command) => {
                    let answer = None;
                    place.lease = Some(Asked { command, answer });
                }
                command => {
                    let answer = None;
                    place.log = Some(Asked { command, answer });
                }
            }
        }
        if node.owner.is_stopped() {
            self.end(at);
        }
    }

    /// Everything works for so many units of time.
    fn settle(&mut self, world: World, units: u32) -> Result<(), String> {
        for _ in 0..units {
            self.now_ms += 1;
            for at in [0, 1] {
                self.turn(world, at);
                while let Some(action) = { self.answers(at).next() } {
                    self.act(world, action)?;
                }
            }
        }
        Ok(())
    }

    /// The process is no more. What it has asked for may be carried out yet.
    fn end(&mut self, at: usize) {
        let place = &mut self.places[at];
        place.node = None;
        let lease = place.lease.take().filter(|asked| asked.answer.is_none());
        let log = place.log.take().filter(|asked| asked.answer.is_none());
        self.give_up(at, lease.map(|asked| Command::Lease(asked.command)));
        self.give_up(at, log.map(|asked| asked.command));
    }

    /// What the process waits for.
    fn answers(&self, at: usize) -> impl Iterator<Item = Action> + use<> {
        let place = &self.places[at];
        let lease = place.lease.as_ref().map(|asked| match asked.answer {
            None => Action::Lease(at),
            Some(_) => Action::LeaseAnswer(at),
        });
        let log = place.log.as_ref().map(|asked| match asked.answer {
            None => Action::Log(at),
            Some(_) => Action::LogAnswer(at),
        });
        lease.into_iter().chain(log)
    }

    fn actions(&self) -> Vec<Action> {
        let left = &self.left;
        let mut actions = Vec::new();
        for at in [0, 1] {
            let place = &self.places[at];
            if place.node.is_none() {
                actions.push(Action::Start(at));
                continue;
            }
            actions.push(Action::Turn(at));
            actions.extend(self.answers(at));
            if left.lost > 0 && place.lease.is_some() {
                actions.push(Action::LeaseLost(at));
            }
            if left.lost > 0 && place.log.is_some() {
                actions.push(Action::LogLost(at));
            }
            if left.crashes > 0 {
                actions.push(Action::Crash(at));
            }
            if left.stops > 0 {
                actions.push(Action::Stop(at));
            }
            if left.feeds > 0 {
                actions.push(Action::Feed(at));
            }
        }
        actions.extend((0..self.late.len()).map(Action::Late));
        let more = [
            (left.time, Action::Time),
            (left.ticks, Action::Tick),
            (left.moves, Action::Assign),
        ];
        actions.extend(more.iter().filter(|(left, _)| *left > 0).map(|(_, a)| *a));
        actions
    }

    fn act(&mut self, world: World, action: Action) -> Result<(), String> {
        let now_ms = self.now_ms;
        match action {
            Action::Time => {
                self.left.time -= 1;
                self.now_ms += world.options().ttl_ms;
            }
            Action::Tick => {
                self.left.ticks -= 1;
                self.tick += 1;
            }
            Action::Assign => {
                self.left.moves -= 1;
                self.generation += 1;
            }
            Action::Turn(at) => self.turn(world, at),
            Action::Start(at) => self.start(world, at),
            Action::Crash(at) => {
                self.left.crashes -= 1;
                self.end(at);
            }
            Action::Stop(at) => {
                self.left.stops -= 1;
                if let Some(node) = &mut self.places[at].node {
                    node.owner.handle_stop(now_ms);
                }
                self.turn(world, at);
            }
            Action::Feed(at) => {
                self.left.feeds -= 1;
                let place = &mut self.places[at];
                place.level = match place.level {
                    Level::Away => Level::Filling,
                    Level::Filling => Level::Whole,
                    Level::Whole => Level::Away,
                };
                self.turn(world, at);
            }
            Action::Lease(at) => self.carry_out_lease(world, at),
            Action::Log(at) => self.carry_out_log(world, at)?,
            Action::LeaseAnswer(at) | Action::LeaseLost(at) => {
                let asked = self.places[at].lease.take().unwrap();
                let mut answer = asked.answer;
                if action == Action::LeaseLost(at) {
                    self.left.lost -= 1;
                    if answer.take().is_none() {
                        self.give_up(at, Some(Command::Lease(asked.command)));
                    }
                }
                let answer = answer.unwrap_or(LeaseAnswer::Unavailable);
                if let Some(node) = &mut self.places[at].node {
                    node.owner.handle_lease(now_ms, answer);
                }
                self.turn(world, at);
            }
            Action::LogAnswer(at) | Action::LogLost(at) => {
                let asked = self.places[at].log.take().unwrap();
                let mut answer = asked.answer;
                if action == Action::LogLost(at) {
                    self.left.lost -= 1;
                    if answer.take().is_none() {
                        self.give_up(at, Some(asked.command.clone()));
                    }
                }
                if let Some(node) = &mut self.places[at].node {
                    match asked.command {
                        Command::Read { ticket, .. } => {
                            node.owner.handle_checkpoints(now_ms, ticket, None);
                        }
                        Command::Commit { ticket, .. } => {
                            let outcome = answer.unwrap_or(CommitOutcome::Unknown);
                            node.owner.handle_commit(now_ms, ticket, outcome);
                        }
                        Command::Lease(_) => {}
                    }
                }
                self.turn(world, at);
            }
            Action::Late(which) => match self.late.remove(which) {
                (shard, Command::Lease(command)) => {
                    self.leases[usize::from(shard.0)].carry_out(&command);
                }
                (_, Command::Commit { batch, .. }) => {
                    self.log.commit(&batch)?;
                }
                _ => {}
            },
        }
        [0, 1].into_iter().try_for_each(|at| self.check_told(at))?;
        self.check_published(world)
    }

    /// Reads that come late change nothing.
    fn give_up(&mut self, at: usize, command: Option<Command>) {
        let writes = |command: &Command| match command {
            Command::Lease(command) => *command != LeaseCommand::Read,
            Command::Read { .. } => false,
            Command::Commit { .. } => true,
        };
        if let Some(command) = command.filter(writes) {
            self.late.push((self.places[at].shard, command));
        }
    }

    fn carry_out_lease(&mut self, world: World, at: usize) {
        let place = &mut self.places[at];
        let entry = &mut self.leases[usize::from(place.shard.0)];
        let Some(asked) = &mut place.lease else {
            return;
        };
        let answer = entry.carry_out(&asked.command);
        if asked.command != LeaseCommand::Read {
            asked.answer = Some(answer);
            return;
        }
        place.lease = None;
        if let Some(node) = &mut place.node {
            node.owner.handle_lease(self.now_ms, answer);
        }
        self.turn(world, at);
    }

    fn carry_out_log(&mut self, world: World, at: usize) -> Result<(), String> {
        let place = &mut self.places[at];
        let Some(asked) = &mut place.log else {
            return Ok(());
        };
        match &asked.command {
            Command::Commit { batch, .. } => {
                asked.answer = Some(self.log.commit(batch)?);
                return Ok(());
            }
            Command::Read {
                ticket,
                instruments,
            } => {
                let stored = self.log.read(instruments);
                if let Some(node) = &mut place.node {
                    let owner = &mut node.owner;
                    owner.handle_checkpoints(self.now_ms, *ticket, Some(stored));
                }
            }
            Command::Lease(_) => {}
        }
        place.log = None;
        self.turn(world, at);
        Ok(())
    }
}
