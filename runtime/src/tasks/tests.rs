use std::future::pending;
use std::panic;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{mpsc, oneshot};

use super::*;

const DRAIN_MAX: Duration = Duration::from_secs(10);

async fn stopped(tasks: Tasks) -> String {
    match tasks.run_until_stopped(DRAIN_MAX).await {
        Ok(()) => "ok".to_owned(),
        Err(error) => error.to_string(),
    }
}

/// A panic that is expected, without the hook's output in the test log.
fn quiet_panic(message: &'static str) -> ! {
    panic::resume_unwind(Box::new(message))
}

#[tokio::test(start_paused = true)]
async fn what_an_exit_means() {
    async fn check(on_exit: OnExit, exit: fn() -> Result<(), &'static str>, expect: &str) {
        let (tasks, shutdown) = Tasks::new("group");
        tasks.spawn("exits", on_exit, async move { exit() });
        // Stops the group in the cases in which the exit does not; time is paused, so this comes
        // only when nothing else is left to do.
        let asker = shutdown.clone();
        tasks.spawn("asks", OnExit::Log, async move {
            tokio::time::sleep(Duration::from_secs(1)).await;
            asker.trigger();
        });
        let waits = shutdown.clone();
        tasks.spawn(
            "waits",
            OnExit::StopAll,
            async move { waits.requested().await },
        );
        assert_eq!(stopped(tasks).await, expect, "{on_exit:?}");
    }
    check(
        OnExit::StopAll,
        || Ok(()),
        "group/exits ended before it was asked to",
    )
    .await;
    check(
        OnExit::StopAll,
        || Err("no bus"),
        "group/exits failed: no bus",
    )
    .await;
    check(
        OnExit::StopAll,
        || quiet_panic("ouch"),
        "group/exits panicked: ouch",
    )
    .await;
    check(OnExit::StopOnFailure, || Ok(()), "ok").await;
    check(
        OnExit::StopOnFailure,
        || Err("no bus"),
        "group/exits failed: no bus",
    )
    .await;
    check(
        OnExit::StopOnFailure,
        || quiet_panic("ouch"),
        "group/exits panicked: ouch",
    )
    .await;
    check(OnExit::Log, || Ok(()), "ok").await;
    check(OnExit::Log, || Err("no bus"), "ok").await;
    check(OnExit::Log, || quiet_panic("ouch"), "ok").await;
}

#[tokio::test(start_paused = true)]
async fn a_stop_waits_for_those_that_drain() {
    let (tasks, shutdown) = Tasks::new("group");
    let (done, mut was_done) = oneshot::channel();
    let asked = shutdown.clone();
    tasks.spawn("drains", OnExit::StopAll, async move {
        asked.requested().await;
        tokio::time::sleep(DRAIN_MAX / 2).await;
        done.send(()).map_err(|()| "nobody waits")
    });
    shutdown.trigger();
    assert_eq!(stopped(tasks).await, "ok");
    assert_eq!(was_done.try_recv(), Ok(()));
}

#[tokio::test(start_paused = true)]
async fn what_overruns_is_cut_and_named_in_order() {
    let (tasks, shutdown) = Tasks::new("group");
    let (held, mut dropped) = mpsc::channel::<()>(1);
    for name in ["b", "a"] {
        let held = held.clone();
        tasks.spawn(name, OnExit::StopAll, async move {
            let _held = held;
            pending::<()>().await;
        });
    }
    drop(held);
    let asked = shutdown.clone();
    tasks.spawn(
        "good",
        OnExit::StopAll,
        async move { asked.requested().await },
    );
    shutdown.trigger();
    let begin = tokio::time::Instant::now();
    let error = stopped(tasks).await;
    assert_eq!(error, "group did not stop within 10000 ms, cut: b, a");
    assert_eq!(begin.elapsed(), DRAIN_MAX);
    // The futures are gone, with all they held.
    assert_eq!(dropped.recv().await, None);
}

#[tokio::test(start_paused = true)]
async fn a_task_with_nothing_to_finish_is_dropped_at_the_stop() {
    let (tasks, shutdown) = Tasks::new("group");
    tasks.spawn_until_stop("ticks", OnExit::StopAll, pending::<()>());
    shutdown.trigger();
    let begin = tokio::time::Instant::now();
    assert_eq!(stopped(tasks).await, "ok");
    assert_eq!(begin.elapsed(), Duration::ZERO);

    let (tasks, _) = Tasks::new("group");
    tasks.spawn_until_stop("ticks", OnExit::StopAll, async { Err("no clock") });
    assert_eq!(stopped(tasks).await, "group/ticks failed: no clock");
}

#[tokio::test(start_paused = true)]
async fn an_attendant_outlasts_the_drain() {
    let (tasks, shutdown) = Tasks::new("group");
    let (ask, mut asked) = mpsc::channel::<oneshot::Sender<()>>(1);
    tasks.spawn_to_the_end("answers", OnExit::StopAll, async move {
        while let Some(answer) = asked.recv().await {
            answer.send(()).map_err(|()| "nobody waits")?;
        }
        pending::<Result<(), &str>>().await
    });
    let stop = shutdown.clone();
    let asker = ask.clone();
    tasks.spawn("drains", OnExit::StopAll, async move {
        stop.requested().await;
        tokio::time::sleep(DRAIN_MAX / 2).await;
        let (answer, answered) = oneshot::channel();
        asker.send(answer).await.map_err(|_| "gone early")?;
        answered.await.map_err(|_| "no answer")
    });
    shutdown.trigger();
    assert_eq!(stopped(tasks).await, "ok");
    assert!(ask.is_closed());
}

#[tokio::test(start_paused = true)]
async fn a_groups_failure_goes_up_and_its_stop_comes_down() {
    let (outer, shutdown) = Tasks::new("outer");
    let inner = Tasks::under("inner", &shutdown);
    inner.spawn("fails", OnExit::StopAll, async { Err("no bus") });
    let inner_shutdown = inner.shutdown().clone();
    assert!(!inner_shutdown.is_requested());
    outer.spawn("inner", OnExit::StopAll, inner.run_until_stopped(DRAIN_MAX));
    assert_eq!(
        stopped(outer).await,
        "outer/inner failed: inner/fails failed: no bus"
    );
    assert!(inner_shutdown.is_requested() && shutdown.is_requested());

    let (outer, shutdown) = Tasks::new("outer");
    let inner = Tasks::under("inner", &shutdown);
    let asked = inner.shutdown().clone();
    inner.spawn(
        "waits",
        OnExit::StopAll,
        async move { asked.requested().await },
    );
    outer.spawn("inner", OnExit::StopAll, inner.run_until_stopped(DRAIN_MAX));
    shutdown.trigger();
    assert_eq!(stopped(outer).await, "ok");
}

#[tokio::test(start_paused = true)]
async fn dropping_the_owner_cuts_everything() {
    let (held, mut dropped) = mpsc::channel::<()>(1);
    let (tasks, shutdown) = Tasks::new("group");
    let spawner = tasks.spawner();
    tasks.spawn("runs", OnExit::StopAll, async move {
        let _held = held;
        pending::<()>().await;
    });
    drop(tasks);
    assert_eq!(dropped.recv().await, None);
    assert!(shutdown.is_requested());
    let (held, mut dropped) = mpsc::channel::<()>(1);
    spawner.spawn("late", OnExit::StopAll, async move {
        let _held = held;
        pending::<()>().await;
    });
    assert_eq!(dropped.recv().await, None);
}

#[tokio::test(start_paused = true)]
async fn the_first_failure_is_the_one_reported() {
    let (tasks, shutdown) = Tasks::new("group");
    let asked = shutdown.clone();
    tasks.spawn("second", OnExit::StopAll, async move {
        asked.requested().await;
        Err("because of the first")
    });
    tasks.spawn("stuck", OnExit::StopAll, pending::<()>());
    tasks.spawn("first", OnExit::StopAll, async { Err("no bus") });
    assert_eq!(stopped(tasks).await, "group/first failed: no bus");

    // A failure while stopping is a failure too.
    let (tasks, shutdown) = Tasks::new("group");
    let asked = shutdown.clone();
    tasks.spawn("flushes", OnExit::StopAll, async move {
        asked.requested().await;
        Err("disk full")
    });
    shutdown.trigger();
    assert_eq!(stopped(tasks).await, "group/flushes failed: disk full");
}

#[tokio::test]
async fn threads_are_joined_and_their_exits_count() {
    let (tasks, shutdown) = Tasks::new("group");
    let ended = Arc::new(AtomicUsize::new(0));
    for shard in 0..3 {
        let (asked, ended) = (shutdown.clone(), Arc::clone(&ended));
        let run = move || {
            let runtime = tokio::runtime::Builder::new_current_thread().build()?;
            runtime.block_on(asked.requested());
            ended.fetch_add(1, Ordering::SeqCst);
            Ok::<(), std::io::Error>(())
        };
        tasks
            .spawn_thread(format!("shard-{shard}"), OnExit::StopAll, run)
            .unwrap();
    }
    shutdown.trigger();
    assert_eq!(stopped(tasks).await, "ok");
    assert_eq!(ended.load(Ordering::SeqCst), 3);

    let (tasks, _) = Tasks::new("group");
    let run = || -> Result<(), &str> { quiet_panic("ouch") };
    tasks.spawn_thread("shard", OnExit::StopAll, run).unwrap();
    assert_eq!(stopped(tasks).await, "group/shard panicked: ouch");
}

#[tokio::test]
async fn a_thread_that_overruns_is_named_and_left() {
    let (tasks, shutdown) = Tasks::new("group");
    let (release, released) = oneshot::channel::<()>();
    tasks
        .spawn_thread("stuck", OnExit::StopAll, || released.blocking_recv())
        .unwrap();
    shutdown.trigger();
    let error = tasks.run_until_stopped(Duration::ZERO).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "group did not stop within 0 ms, cut: stuck"
    );
    release.send(()).unwrap();
}
