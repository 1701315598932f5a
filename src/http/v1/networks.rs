//! `/1.0/networks`: the machine's interfaces. This server manages none, and clients that try to
//! have it do so are told.

use super::{Answer, Call, check_project, nothing, url};
use crate::{
    api::requests::NetworksPost,
    error::{Error, Kind, Result},
    instances,
};

/// What LXD can make a network of.
const DRIVERS: [&str; 6] = ["", "bridge", "macvlan", "ovn", "physical", "sriov"];

/// The longest name that the kernel takes for an interface.
const MAX_NAME_BYTES: usize = 15;

/// GET: the machine's interfaces.
pub(crate) async fn list(call: Call) -> Result<Answer> {
    check_project(&call).await?;
    let networks = instances::networks()?;
    if call.recursion() {
        return Answer::sync(&networks);
    }
    let urls: Vec<_> = networks
        .iter()
        .map(|network| url("networks", &network.name))
        .collect();
    Answer::sync(&urls)
}

/// GET: one of them.
pub(crate) async fn get(call: Call) -> Result<Answer> {
    check_project(&call).await?;
    let network = instances::find_network(call.segment(0))?;
    let tagged = (
        &network.name,
        network.managed,
        network.kind,
        &network.description,
        &network.config,
    );
    Answer::tagged(&network, &tagged)
}

/// POST: a new network.
pub(crate) async fn create(mut call: Call) -> Result<Answer> {
    check_project(&call).await?;
    let NetworksPost { name, kind } = call.json().await?;
    if name.is_empty() {
        return Err(Error::bad_request("No name provided"));
    }
    if !DRIVERS.contains(&kind.as_str()) {
        return Err(Error::bad_request("Unknown driver"));
    }
    if name.len() > MAX_NAME_BYTES {
        let text = "Network interface is too long (maximum 15 characters)";
        return Err(Error::bad_request(text));
    }
    Err(not_managed())
}

fn not_managed() -> Error {
    Error::new(Kind::NotImplemented, "This server does not manage networks")
}

/// What can be done with a network that is managed; none is.
pub(crate) async fn managed(call: Call) -> Result<Answer> {
    check_project(&call).await?;
    Err(Error::not_found("Network not found").context("Failed loading network"))
}

/// GET: access lists and zones; there are none.
pub(crate) async fn no_rules(call: Call) -> Result<Answer> {
    check_project(&call).await?;
    nothing()
}

/// POST: a new access list or zone.
pub(crate) async fn create_rules(call: Call) -> Result<Answer> {
    check_project(&call).await?;
    Err(not_managed())
}

/// What can be done with one access list.
pub(crate) async fn access_list(call: Call) -> Result<Answer> {
    check_project(&call).await?;
    Err(Error::not_found("Network ACL not found"))
}

/// What can be done with one zone.
pub(crate) async fn zone(call: Call) -> Result<Answer> {
    check_project(&call).await?;
    Err(Error::not_found("Network zone not found"))
}
