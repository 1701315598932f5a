//! `/1.0/storage-pools`.

use super::{Answer, Call, may_see_url, url};
use crate::{
    api::{
        objects::Pool,
        requests::{StoragePoolPut, StoragePoolsPost},
    },
    error::{Error, Result},
};

/// GET: every pool.
pub(crate) async fn list(call: Call) -> Result<Answer> {
    let mut pools = call.services.pools.list().await?;
    for pool in &mut pools {
        confine(&call, pool);
    }
    if call.recursion() {
        return Answer::sync(&pools);
    }
    let urls: Vec<_> = pools
        .iter()
        .map(|pool| url("storage-pools", &pool.name))
        .collect();
    Answer::sync(&urls)
}

/// POST: a new pool.
pub(crate) async fn create(mut call: Call) -> Result<Answer> {
    let new: StoragePoolsPost = call.json().await?;
    let location = url("storage-pools", &new.name);
    call.services.pools.create(new, call.requestor()).await?;
    Ok(Answer::Created(location))
}

/// GET: one pool.
pub(crate) async fn get(call: Call) -> Result<Answer> {
    if call
        .query("target")
        .is_some_and(|target| !target.is_empty())
    {
        return Err(Error::not_found("Cluster member not found"));
    }
    let mut pool = call.services.pools.get(call.segment(0)).await?;
    confine(&call, &mut pool);
    Answer::tagged(&pool, &tagged(&pool))
}

/// Restricted callers do not read where a pool is, nor what others have in it.
fn confine(call: &Call, pool: &mut Pool) {
    if !call.caller.is_admin() {
        pool.config = None;
        let users = pool.used_by.get_or_insert_default();
        users.retain(|url| may_see_url(call, url));
    }
}

/// PUT: the whole configuration.
pub(crate) async fn put(call: Call) -> Result<Answer> {
    change(call, false).await
}

/// PATCH: the keys that are named.
pub(crate) async fn patch(call: Call) -> Result<Answer> {
    change(call, true).await
}

async fn change(mut call: Call, is_patch: bool) -> Result<Answer> {
    let pool = call.services.pools.get(call.segment(0)).await?;
    call.edit().check(&tagged(&pool))?;
    let new: StoragePoolPut = call.json().await?;
    call.services
        .pools
        .change(call.segment(0), new, is_patch, call.edit())
        .await?;
    Ok(Answer::done())
}

/// DELETE.
pub(crate) async fn delete(call: Call) -> Result<Answer> {
    call.services
        .pools
        .delete(call.segment(0), call.requestor())
        .await?;
    Ok(Answer::done())
}

/// GET: how full it is.
pub(crate) async fn resources(call: Call) -> Result<Answer> {
    Answer::sync(&call.services.pools.resources(call.segment(0)).await?)
}

fn tagged(pool: &Pool) -> impl serde::Serialize + '_ {
    (&pool.name, &pool.driver, &pool.config)
}
