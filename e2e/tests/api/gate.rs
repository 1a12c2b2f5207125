//! Between the operator and the API server: it counts writes, and can keep back the answer to one of them and all that comes
//! after, so that a process can be killed exactly there.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use kube::Client;
use kube::client::Body;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// The way of one operator. Closed when dropped.
pub(crate) struct Gate {
    address: SocketAddr,
    state: Arc<State>,
    _tasks: JoinSet<()>,
}

struct State {
    client: Client,
    /// Writes that were answered, as `PATCH <path>`; Leases are left out.
    written: Mutex<Vec<String>>,
    /// Writes that were not answered yet.
    on_the_way: AtomicUsize,
    /// The number of the last write that is let through.
    last: AtomicUsize,
    /// Whether it was reached: nothing gets through then.
    held: watch::Sender<bool>,
}

impl Gate {
    /// Opens one as the client's user.
    pub(crate) async fn open(client: Client) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let state = Arc::new(State {
            client,
            written: Mutex::default(),
            on_the_way: AtomicUsize::new(0),
            last: AtomicUsize::new(usize::MAX),
            held: watch::Sender::new(false),
        });
        let mut tasks = JoinSet::new();
        let address = listener.local_addr().unwrap();
        tasks.spawn(serve(listener, Arc::clone(&state)));
        Self {
            address,
            state,
            _tasks: tasks,
        }
    }

    /// A kubeconfig of the way, in a folder.
    pub(crate) fn kubeconfig(&self, folder: &Path) -> PathBuf {
        let file = folder.join(format!("gate-{}.kubeconfig", self.address.port()));
        let text = format!(
            "apiVersion: v1\nkind: Config\nclusters: [{{ name: g, cluster: {{ server: \"http://{}\" }} }}]\n\
             users: [{{ name: g, user: {{}} }}]\ncontexts: [{{ name: g, context: {{ cluster: g, user: g }} }}]\n\
             current-context: g\n",
            self.address
        );
        std::fs::write(&file, text).unwrap();
        file
    }

    /// Writes so far.
    pub(crate) fn written(&self) -> Vec<String> {
        self.state.written.lock().unwrap().clone()
    }

    /// Whether all writes that were begun are among those that were answered.
    pub(crate) fn is_idle(&self) -> bool {
        self.state.on_the_way.load(Ordering::SeqCst) == 0
    }

    /// From now on, keeps back the answer to so many writes from here, and all after it.
    pub(crate) fn hold_after(&self, writes: usize) {
        let last = self.state.written.lock().unwrap().len() + writes;
        self.state.held.send_replace(false);
        self.state.last.store(last, Ordering::SeqCst);
    }

    /// Lets everything through again; what was kept back stays so.
    pub(crate) fn release(&self) {
        self.state.last.store(usize::MAX, Ordering::SeqCst);
        self.state.held.send_replace(false);
    }

    /// Waits until that write was made.
    pub(crate) async fn held(&self) {
        let mut held = self.state.held.subscribe();
        held.wait_for(|held| *held).await.unwrap();
    }
}

/// A write until it was answered, or nobody waits for that any more.
struct OnTheWay<'a>(&'a AtomicUsize);

impl<'a> OnTheWay<'a> {
    fn begin(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Self(count)
    }
}

impl Drop for OnTheWay<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

async fn serve(listener: TcpListener, state: Arc<State>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            taken = listener.accept() => {
                let Ok((stream, _)) = taken else { continue };
                let state = Arc::clone(&state);
                connections.spawn(async move {
                    let service = service_fn(move |request| carry(request, Arc::clone(&state)));
                    let connection = hyper::server::conn::http1::Builder::new();
                    // A process that was killed leaves its connections as they are.
                    let _ = connection.serve_connection(TokioIo::new(stream), service).await;
                });
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn carry(
    request: Request<Incoming>,
    state: Arc<State>,
) -> Result<Response<Body>, kube::Error> {
    let path = request.uri().path().to_owned();
    let method = request.method().clone();
    let counts = method != Method::GET && !path.contains("/coordination.k8s.io/");
    if *state.held.borrow() {
        std::future::pending::<()>().await;
    }
    let (parts, body) = request.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let request = Request::from_parts(parts, Body::from(body.to_vec()));
    let on_the_way = counts.then(|| OnTheWay::begin(&state.on_the_way));
    let answer = state.client.send(request).await?;
    if counts {
        let number = {
            let mut written = state.written.lock().unwrap();
            written.push(format!("{method} {path}"));
            written.len()
        };
        drop(on_the_way);
        if number >= state.last.load(Ordering::SeqCst) {
            state.held.send_replace(true);
            std::future::pending::<()>().await;
        }
    }
    Ok(answer)
}
