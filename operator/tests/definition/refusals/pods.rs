//! What is said of pods.

use serde_json::json;

use super::super::feeds::{by_operator, check, with};
use super::super::schema::refusals;

#[test]
fn pods() {
    for part in ["marketdata", "gateway"] {
        let of = |field: &str| format!("/spec/{part}/pod/{field}");
        let path = format!("spec.{part}.pod");
        for key in ["marketfeed.dev/x", "app.kubernetes.io/name"] {
            check(
                &of("labels"),
                json!({ key: "x" }),
                "write other ones",
                &path,
                "write another key",
            );
            check(
                &of("annotations"),
                json!({ key: "x" }),
                "write other ones",
                &path,
                "write another key",
            );
        }
        let env = |name: &str| json!([{ "name": name, "value": "x" }]);
        check(
            &of("env"),
            env("MARKETFEED_ENV"),
            "are the operator's",
            &path,
            "is the operator's",
        );
        check(
            &of("env"),
            env("1X"),
            "names no variable",
            &path,
            "names no variable",
        );
        check(
            &of("env"),
            json!([{ "name": "A" }, { "name": "A" }]),
            "list-type \"map\"",
            &path,
            "write it once",
        );
        for field in ["labels", "nodeSelector"] {
            for wrong in ["two words", "-a", "a-"] {
                let labels = json!({ "team": wrong });
                check(
                    &of(field),
                    labels,
                    "write letters, digits and inner",
                    &path,
                    "is no label's value",
                );
            }
        }
    }
}

#[test]
fn resources() {
    for part in ["marketdata", "gateway"] {
        let requests = format!("/spec/{part}/resources/requests");
        for wrong in ["many", "1 Gi", "1.5.5"] {
            let found = refusals(&with(&requests, json!({ "cpu": wrong })), None);
            assert!(
                found
                    .iter()
                    .any(|refusal| refusal.contains("write one as 500m")),
                "{found:?}"
            );
        }
        for right in [
            json!(1),
            json!("1"),
            json!("500m"),
            json!("1.5"),
            json!("1Gi"),
            json!("1e3"),
        ] {
            let object = with(&requests, json!({ "cpu": right }));
            assert_eq!(refusals(&object, None), [""; 0], "{right}");
            assert_eq!(by_operator(&object), "", "{right}");
        }
        let resources = format!("/spec/{part}/resources");
        let of = |request: &str, limit: &str| {
            let amounts = json!({ "requests": { "cpu": request }, "limits": { "cpu": limit } });
            by_operator(&with(&resources, amounts))
        };
        for (request, limit) in [("1", "1000m"), ("500m", "1"), ("1Mi", "1.1M")] {
            assert_eq!(of(request, limit), "", "{request} {limit}");
        }
        for (request, limit) in [("1001m", "1"), ("1M", "900Ki"), ("1e3", "999")] {
            let refused = of(request, limit);
            assert!(refused.contains("is above its limit"), "{request} {limit}");
        }
    }
}
