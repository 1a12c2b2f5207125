//! As much of an API server as helm asks for in a dry run: it knows the kinds of some objects, and has a StatefulSet.

use std::io::{BufRead, BufReader, Result, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};

/// What there is.
pub(crate) struct Found<'a> {
    pub(crate) stateful_set: &'a Value,
    /// Of each kind that is known one at least.
    pub(crate) kinds: &'a [Value],
}

/// Runs `then` while a server at the address that it is given has that.
pub(crate) fn with<T>(found: &Found<'_>, then: impl FnOnce(SocketAddr) -> T) -> T {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for stream in listener.incoming() {
                if over.load(Ordering::Acquire) {
                    return;
                }
                // One that ends early is helm's own affair.
                let _ = stream.and_then(|stream| answer(stream, found));
            }
        });
        let done = then(address);
        over.store(true, Ordering::Release);
        // It looks once for each connection.
        drop(TcpStream::connect(address).unwrap());
        done
    })
}

fn answer(mut stream: TcpStream, found: &Found<'_>) -> Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let request = lines.next().transpose()?.unwrap_or_default();
    // To the end of its head: an answer before that may be lost.
    for line in lines {
        if line?.is_empty() {
            break;
        }
    }
    let path = request.split(' ').nth(1).unwrap_or_default();
    let path = path.split('?').next().unwrap_or_default();
    let (status, body) = match told(path, found) {
        Some(body) => ("200 OK", body),
        None => ("404 Not Found", json!({ "kind": "Status", "code": 404 })),
    };
    let body = body.to_string();
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes())?;
    stream.write_all(body.as_bytes())
}

fn told(path: &str, found: &Found<'_>) -> Option<Value> {
    let mut versions: Vec<&str> = found.kinds.iter().filter_map(version).collect();
    versions.sort_unstable();
    versions.dedup();
    let groups = versions.iter().filter_map(|version| {
        let (group, number) = version.split_once('/')?;
        let version = json!({ "groupVersion": version, "version": number });
        Some(json!({ "name": group, "versions": [version], "preferredVersion": version }))
    });
    let groups: Vec<Value> = groups.collect();
    let told = match path {
        "/version" => json!({ "major": "1", "minor": "35", "gitVersion": "v1.35.0" }),
        "/api" => json!({ "kind": "APIVersions", "versions": ["v1"] }),
        "/apis" => json!({ "kind": "APIGroupList", "groups": groups }),
        _ => match path
            .trim_start_matches("/apis/")
            .trim_start_matches("/api/")
        {
            version if versions.contains(&version) => resources(version, found.kinds),
            object if object.contains("/statefulsets/") => {
                let set = found.stateful_set;
                let is_it = object.rsplit('/').next() == set["metadata"]["name"].as_str();
                return is_it.then(|| set.clone());
            }
            _ => return None,
        },
    };
    Some(told)
}

fn version(object: &Value) -> Option<&str> {
    object["apiVersion"].as_str()
}

/// What there is in a version of a group.
fn resources(version: &str, kinds: &[Value]) -> Value {
    let of = kinds
        .iter()
        .filter(|object| object["apiVersion"] == version);
    let resource = |object: &Value| {
        let kind = object["kind"].as_str().unwrap();
        let name = kind.to_lowercase();
        json!({
            "name": format!("{name}s"), "singularName": name, "kind": kind, "verbs": ["get"],
            "namespaced": object["metadata"]["namespace"].is_string(),
        })
    };
    let resources: Vec<Value> = of.map(resource).collect();
    json!({ "kind": "APIResourceList", "groupVersion": version, "resources": resources })
}
