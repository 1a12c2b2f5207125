//! Seeded schedules: several shards of two processes each, with clocks that drift, crashes, pauses, requests that are
//! lost, late or doubled, partitions, a log that changes its leader, and assignments that move instruments.
//!
//! `SEED=n` replays one schedule; `SCHEDULES=n` runs that many.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::fmt::Write as _;

use fastrand::Rng;
use marketdata::owner::{Assigned, Command, CommitOutcome, LeaseAnswer};
use wire::{Instrument, ShardId, Symbol, Venue};

use crate::engine::{LENS, known};
use crate::log::Log;
use crate::node::{LeaseEntry, Node};

/// Processes, their circumstances, and requests.
mod place;

/// What goes wrong.
mod faults;

use self::place::{Answer, Happening, Process, Request, assign, level, options};

/// Schedules in the test suite.
const SCHEDULES: u64 = 1_000;

/// Virtual milliseconds with faults, and after them.
const FAULTS_MS: u64 = 20_000;
const QUIET_MS: u64 = 22_000;

const LEASE_TIMEOUT_MS: u64 = 700;
const LOG_TIMEOUT_MS: u64 = 1_500;

struct World {
    rng: Rng,
    now_ms: u64,
    agenda: BinaryHeap<Reverse<(u64, u64, Happening)>>,
    order: u64,
    processes: Vec<Process>,
    instruments: Vec<Instrument>,
    assignments: Vec<BTreeMap<ShardId, Assigned>>,
    generation: usize,
    leases: BTreeMap<ShardId, LeaseEntry>,
    log: Log,
    requests: Vec<Request>,
    log_away_to_ms: u64,
    heard: BTreeMap<(Instrument, u64), String>,
    seen: Seen,
    trace: Option<String>,
}

/// What the schedules have met with, so that a run shows that it was worth something.
#[derive(Debug, Default, Clone, Copy)]
struct Seen {
    crashes: u64,
    pauses: u64,
    takes: u64,
    fenced: u64,
    unknown: u64,
    committed: u64,
    settled: u64,
}

impl World {
    fn new(seed: u64, traced: bool) -> Self {
        let mut rng = Rng::with_seed(seed);
        let instruments: Vec<Instrument> = (0..rng.u32(2..6))
            .map(|n| {
                let symbol = Symbol::new(&format!("S{n}-USD")).unwrap();
                Instrument::new(Venue::new(Venue::COINBASE).unwrap(), symbol)
            })
            .collect();
        // Shard counts one after another: one more, one fewer.
        let counts = [[1, 2, 1], [2, 1, 2], [4, 5, 4], [2, 3, 2]][rng.usize(0..4)];
        let assignments = (5..)
            .zip(counts)
            .map(|(generation, shards)| assign(&instruments, shards, generation))
            .collect();
        let most = counts.into_iter().max().unwrap();
        let processes = (0..most)
            .flat_map(|shard| [shard; 2])
            .map(|shard| Process::new(ShardId(shard), &mut rng))
            .collect();
        let mut world = Self {
            rng,
            now_ms: 10_000,
            agenda: BinaryHeap::new(),
            order: 0,
            processes,
            instruments,
            assignments,
            generation: 0,
            leases: BTreeMap::new(),
            log: Log::default(),
            requests: Vec::new(),
            log_away_to_ms: 0,
            heard: BTreeMap::new(),
            seen: Seen::default(),
            trace: traced.then(String::new),
        };
        for process in 0..world.processes.len() {
            world.start(process);
        }
        world.plan(300, Happening::Fault);
        world
    }

    fn note(&mut self, text: impl FnOnce() -> String) {
        if let Some(trace) = &mut self.trace {
            let _ = writeln!(trace, "{} {}", self.now_ms, text());
        }
    }

    fn plan(&mut self, in_ms: u64, what: Happening) {
        self.order += 1;
        self.agenda
            .push(Reverse((self.now_ms + in_ms, self.order, what)));
    }

    fn start(&mut self, at: usize) {
        let process = &mut self.processes[at];
        process.starts += 1;
        let name = format!("p{at}.{}", process.starts);
        let options = options(&mut self.rng);
        process.node = Some(Node::new(name, process.shard, options));
        process.generation = usize::MAX;
        self.plan(0, Happening::Turn(at));
    }

    /// Until then faults happen.
    fn is_quiet(&self) -> bool {
        self.now_ms >= 10_000 + FAULTS_MS
    }

    fn run(&mut self) -> Result<(), String> {
        let end_ms = 10_000 + FAULTS_MS + QUIET_MS;
        while let Some(Reverse((at_ms, _, what))) = self.agenda.pop() {
            if at_ms >= end_ms {
                break;
            }
            self.now_ms = at_ms;
            match what {
                Happening::Turn(at) => self.turn(at)?,
                Happening::Arrives(request) => self.arrive(request)?,
                Happening::Answered(request) => self.answer(request)?,
                Happening::Fault => self.fault(),
            }
        }
        self.check_end()
    }

    fn turn(&mut self, at: usize) -> Result<(), String> {
        let (now_ms, quiet) = (self.now_ms, self.is_quiet());
        let process = &mut self.processes[at];
        let own_ms = process.own_ms(now_ms);
        if process.paused_to_ms > now_ms && !quiet {
            let in_ms = process.paused_to_ms - now_ms;
            self.plan(in_ms, Happening::Turn(at));
            return Ok(());
        }
        let Some(node) = &mut process.node else {
            return Ok(());
        };
        let is_late = process.file_late_to_ms > now_ms && process.generation != usize::MAX;
        if process.generation != self.generation && (quiet || !is_late) {
            process.generation = self.generation;
            let none = Assigned {
                generation: 5 + self.generation as u64,
                mine: BTreeSet::new(),
                others: self.instruments.iter().cloned().collect(),
            };
            let all = &self.assignments[self.generation];
            node.assign(own_ms, all.get(&process.shard).unwrap_or(&none));
        }
        let is_up = quiet || process.feed_down_to_ms <= now_ms;
        node.act(own_ms);
        for instrument in &self.instruments {
            node.level(own_ms, instrument, level(is_up, now_ms));
            if is_up {
                let tick = (now_ms - process.lag_ms) / 1_000;
                node.feed(instrument, tick.cast_signed());
            }
        }
        node.close();
        let wall_ms = process.wall_ms + now_ms;
        let mut commands = Vec::new();
        while let Some(command) = node.poll(own_ms, wall_ms, now_ms) {
            commands.push(command);
        }
        let name = node.name.clone();
        node.told
            .drain(..)
            .try_for_each(|told| self.log.check_told(&told))?;
        for (instrument, epoch) in node.publishes() {
            let heard = self.heard.entry((instrument.clone(), epoch)).or_default();
            if heard.is_empty() {
                heard.clone_from(&name);
            }
            if *heard != name {
                return Err(format!(
                    "{instrument}: {heard} and {name} publish as {epoch}"
                ));
            }
        }
        let wake_ms = node.owner.wake_at_ms().map_or(u64::MAX, |wake_ms| {
            wake_ms.saturating_sub(own_ms).max(1) * 1_000 / process.rate + 1
        });
        let in_ms = wake_ms.min(250 + 1_000 - (now_ms % 1_000));
        if now_ms + in_ms < process.next_turn_ms || process.next_turn_ms <= now_ms {
            process.next_turn_ms = now_ms + in_ms;
            self.plan(in_ms, Happening::Turn(at));
        }
        for command in commands {
            self.send(at, name.clone(), command);
        }
        Ok(())
    }

    fn send(&mut self, process: usize, name: String, command: Command) {
        self.note(|| format!("{name} asks {command:?}"));
        let is_lease = matches!(command, Command::Lease(_));
        let (now_ms, quiet) = (self.now_ms, self.is_quiet());
        let cut = match &self.processes[process] {
            _ if quiet => false,
            at if is_lease => at.cut_from_lease_to_ms > now_ms,
            at => at.cut_from_log_to_ms > now_ms,
        };
        let request = self.requests.len();
        let lost = cut || !quiet && self.rng.u32(0..100) < 3;
        let answer = None;
        self.requests.push(Request {
            process,
            name,
            command,
            answer,
            lost,
        });
        let timeout_ms = if is_lease {
            LEASE_TIMEOUT_MS
        } else {
            LOG_TIMEOUT_MS
        };
        if lost {
            // It may be a cut of the answer's way only, or get there when nobody waits for it any more.
            if self.rng.u32(0..3) == 0 {
                let in_ms = self.rng.u64(1..8_000);
                self.plan(in_ms, Happening::Arrives(request));
            }
            self.plan(timeout_ms, Happening::Answered(request));
            return;
        }
        let there_ms = self.rng.u64(1..30);
        self.plan(there_ms, Happening::Arrives(request));
        if !quiet && self.rng.u32(0..100) < 3 {
            let in_ms = there_ms + self.rng.u64(1..3_000);
            self.plan(in_ms, Happening::Arrives(request));
        }
        let back_ms = if !quiet && self.rng.u32(0..100) < 3 {
            timeout_ms
        } else {
            there_ms + self.rng.u64(1..30)
        };
        self.plan(back_ms, Happening::Answered(request));
    }

    fn arrive(&mut self, at: usize) -> Result<(), String> {
        let request = self.requests[at].clone();
        let away = self.log_away_to_ms > self.now_ms && !self.is_quiet();
        let answer = match &request.command {
            Command::Lease(command) => {
                let shard = self.processes[request.process].shard;
                let entry = self.leases.entry(shard).or_default();
                Answer::Lease(entry.carry_out(command))
            }
            Command::Read { .. } if away => return Ok(()),
            Command::Read { instruments, .. } => Answer::Read(self.log.read(instruments)),
            Command::Commit { .. } if away => {
                // Between two leaders: refused; or held, to be decided when there is one; or forgotten.
                match self.rng.u32(0..3) {
                    0 => Answer::Commit(CommitOutcome::Unavailable),
                    1 => {
                        let in_ms = self.log_away_to_ms - self.now_ms + self.rng.u64(0..3_000);
                        self.plan(in_ms, Happening::Arrives(at));
                        return Ok(());
                    }
                    _ => return Ok(()),
                }
            }
            Command::Commit { batch, .. } => Answer::Commit(self.log.commit(batch)?),
        };
        self.note(|| format!("{} is answered {answer:?}", request.name));
        // A copy's answer does not replace the first one's.
        let request = &mut self.requests[at];
        if !request.lost {
            request.answer.get_or_insert(answer);
        }
        Ok(())
    }

    fn answer(&mut self, at: usize) -> Result<(), String> {
        let now_ms = self.now_ms;
        let quiet = self.is_quiet();
        let request = &mut self.requests[at];
        let is_lease = matches!(request.command, Command::Lease(_));
        let process = &mut self.processes[request.process];
        let own_ms = process.own_ms(now_ms);
        let node = process.node.as_mut();
        let Some(node) = node.filter(|node| node.name == request.name) else {
            return Ok(());
        };
        if process.paused_to_ms > now_ms && !quiet {
            let in_ms = process.paused_to_ms - now_ms;
            self.plan(in_ms, Happening::Answered(at));
            return Ok(());
        }
        let owner = &mut node.owner;
        // Answers may come twice: tickets tell the copies. Of the lease only the shell knows.
        let is_twice = !is_lease && now_ms.is_multiple_of(7);
        for _ in 0..=usize::from(is_twice) {
            match (&request.command, request.answer.clone()) {
                (Command::Lease(_), Some(Answer::Lease(answer))) => {
                    owner.handle_lease(own_ms, answer);
                }
                (Command::Lease(_), _) => owner.handle_lease(own_ms, LeaseAnswer::Unavailable),
                (Command::Read { ticket, .. }, Some(Answer::Read(stored))) => {
                    owner.handle_checkpoints(own_ms, *ticket, Some(stored));
                }
                (Command::Read { ticket, .. }, _) => {
                    owner.handle_checkpoints(own_ms, *ticket, None);
                }
                (Command::Commit { ticket, .. }, Some(Answer::Commit(outcome))) => {
                    owner.handle_commit(own_ms, *ticket, outcome);
                }
                (Command::Commit { ticket, .. }, _) => {
                    owner.handle_commit(own_ms, *ticket, CommitOutcome::Unknown);
                }
            }
        }
        let at = request.process;
        self.turn(at)
    }

    fn count(&mut self, at: usize) {
        if let Some(node) = &self.processes[at].node {
            let counts = node.owner.ledger().counts();
            self.seen.takes += counts.taken;
            self.seen.fenced += counts.fenced;
            self.seen.unknown += counts.unknown;
            self.seen.committed += counts.committed;
            self.seen.settled += counts.settled;
        }
    }

    /// Every bar that was over some seconds before the end is committed, with all of its trades.
    fn check_end(&self) -> Result<(), String> {
        let tick = (self.now_ms / 1_000).cast_signed();
        for instrument in &self.instruments {
            let committed = self.log.instruments.get(instrument);
            let committed = committed.ok_or_else(|| format!("{instrument}: nothing committed"))?;
            for (topic, len) in LENS.into_iter().enumerate() {
                let of = committed.bars.iter().filter(|((of, _), _)| *of == topic);
                let newest = of.clone().next_back().map(|((_, number), _)| *number);
                let due = (tick - 6) / len - 1;
                if newest.is_none_or(|newest| newest < due) {
                    return Err(format!(
                        "{instrument}/{topic}: ends at {newest:?}, not {due}"
                    ));
                }
                for (&bar, &(_, count)) in of.filter(|((_, number), _)| *number <= due) {
                    if count != known(bar, tick) {
                        return Err(format!("{instrument}: {bar:?} lacks trades"));
                    }
                }
            }
        }
        Ok(())
    }
}

fn run(seed: u64) -> Seen {
    let mut world = World::new(seed, false);
    if let Err(broken) = world.run() {
        panic!("SEED={seed}: {broken}");
    }
    world.seen
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn schedules_break_nothing() {
    if let Some(seed) = number("SEED") {
        let mut world = World::new(seed, true);
        let result = world.run();
        println!("{}", world.trace.take().unwrap_or_default());
        for process in &world.processes {
            if let Some(node) = &process.node {
                let own_ms = process.own_ms(world.now_ms);
                println!("{} {:?}", node.name, node.owner.status(own_ms));
            }
        }
        result.unwrap();
        return;
    }
    let schedules = number("SCHEDULES").unwrap_or(SCHEDULES);
    let threads = std::thread::available_parallelism().map_or(1, |n| n.get() as u64);
    let seen: Vec<Seen> = std::thread::scope(|scope| {
        let part = |first| {
            (first..schedules)
                .step_by(threads as usize)
                .map(run)
                .collect()
        };
        let parts: Vec<_> = (0..threads)
            .map(|first| scope.spawn(move || -> Vec<Seen> { part(first) }))
            .collect();
        parts
            .into_iter()
            .flat_map(|part| part.join().unwrap())
            .collect()
    });
    let sum = |of: fn(&Seen) -> u64| seen.iter().map(of).sum::<u64>();
    println!(
        "{schedules} schedules: {} crashes, {} pauses, {} takes, {} fenced, {} unknown, {} closes committed, {} settled",
        sum(|s| s.crashes),
        sum(|s| s.pauses),
        sum(|s| s.takes),
        sum(|s| s.fenced),
        sum(|s| s.unknown),
        sum(|s| s.committed),
        sum(|s| s.settled),
    );
    // A simulation in which nothing goes wrong shows nothing.
    for seen in [
        sum(|s| s.crashes),
        sum(|s| s.pauses),
        sum(|s| s.fenced),
        sum(|s| s.unknown),
    ] {
        assert!(seen > schedules / 4);
    }
}
