//! `helm upgrade` to a chart whose definition has a field more, and back.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use cluster::wait::{self, PATIENCE};
use serde_json::{Value, json};

use super::Measured;
use super::feed::{Feed, UNTOUCHED_MAX};
use super::place::Place;

/// The definition in the chart.
const DEFINITION: &str = "files/marketfeeds.marketfeed.dev.yaml";

/// A field that this release does not know.
const FIELD: &str = "laterField";

pub(super) async fn run(place: &mut Place) -> Measured {
    let feed = place.take_feed().await?;
    let measured = on(place, &feed).await?;
    place.put_back(feed);
    Ok(measured)
}

async fn on(place: &mut Place, feed: &Feed) -> Measured {
    let before = feed.pods(place).await?;
    let since = feed.client.now();
    let folder = tempfile::tempdir()?;
    let chart = folder.path().join("marketfeed");
    copy(&place.stock.chart(), &chart)?;
    add_field(&chart.join(DEFINITION))?;
    place.upgrade(&chart).await?;
    is_kept(feed).await?;
    feed.settle().await?;
    feed.change(&json!({ FIELD: null })).await?;
    place.upgrade(&place.stock.chart()).await?;
    feed.settle().await?;
    feed.closes(2, PATIENCE).await?;
    feed.same_pods(place, &before).await?;
    let late = feed.late_since(since, UNTOUCHED_MAX)?;
    Ok(vec![
        format!(
            "to a definition with a field more and back; {late}; {} pods stayed",
            before.len()
        ),
        feed.check()?,
    ])
}

/// The API server goes by the definition a moment after it has taken it: until then it drops the field.
async fn is_kept(feed: &Feed) -> Result<()> {
    wait::until("a field of the new definition", PATIENCE, async || {
        feed.change(&json!({ FIELD: "x" })).await?;
        let object = feed.object().await?;
        Ok((object["spec"][FIELD] == "x").then_some(()))
    })
    .await
}

fn add_field(file: &Path) -> Result<()> {
    let text = fs::read_to_string(file).with_context(|| format!("{}", file.display()))?;
    let mut definition: Value = serde_yaml_ng::from_str(&text)?;
    let schema = &mut definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
    let fields = &mut schema["properties"]["spec"]["properties"];
    ensure!(fields.is_object(), "{} has no spec", file.display());
    fields[FIELD] =
        json!({ "type": "string", "maxLength": 10, "description": "For a later release." });
    fs::write(file, serde_yaml_ng::to_string(&definition)?)?;
    Ok(())
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
