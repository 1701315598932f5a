//! What a server changes over time, and what becomes of the images that came from there: the same
//! here as with LXD.

use std::{collections::BTreeMap, fs};

use serde_json::{Value, json};

use crate::support::{
    PATIENCE, against_lxd, fingerprint, images, soon,
    upstream::{
        Page, Site,
        streams::{Tree, file},
    },
};

/// The type of file that all these images are.
const UNIFIED: &str = "lxd_combined.tar.gz";

/// A server whose products change, and a daemon that has images from there.
struct Story {
    site: Site,
    products: Value,
    /// `alpha1`: the first version of a product.
    names: BTreeMap<String, String>,
}

impl Story {
    fn begin() -> Self {
        let site = Site::start();
        if against_lxd() {
            let pool = json!({"name": "default", "driver": "dir"});
            site.daemon.post("/1.0/storage-pools", &pool);
        }
        Self {
            site,
            products: json!({}),
            names: BTreeMap::new(),
        }
    }

    /// Offers a version of a product, which the product has then besides its older ones.
    fn offer(&mut self, product: &str, version: u32) {
        let name = format!("{product}{version}");
        let image = images::container(&name);
        self.names.insert(fingerprint(&[&image]), name);
        let mut tree = Tree::new(&self.site.upstream);
        tree.products["products"] = self.products.clone();
        if self.products.get(product).is_none() {
            tree.product(product, &json!({"support_eol": "2031-02-03"}));
        }
        tree.version(product, &serial(version), &[(UNIFIED, &image)]);
        tree.publish();
        self.products = tree.products["products"].clone();
    }

    /// Changes what is offered.
    fn change(&mut self, change: impl FnOnce(&mut Value)) {
        change(&mut self.products);
        let mut tree = Tree::new(&self.site.upstream);
        tree.products["products"] = self.products.clone();
        tree.publish();
    }

    /// Takes an image over, with more in the request.
    fn pull(&self, alias: &str, more: &Value) -> String {
        let mut body = self.site.wish(&json!({"alias": alias}));
        for (key, value) in more.as_object().unwrap() {
            body[key] = value.clone();
        }
        let operation = self.site.daemon.ask("default", &body);
        crate::support::image_api::fingerprint_of(&operation)
    }

    /// Every image in a line: name, version, flags (public, kept up to date, cached, used),
    /// aliases, dates, label, profiles, and the name it is asked for by.
    fn state(&self) -> Vec<String> {
        let all = self.site.daemon.images("default").into_iter();
        let mut lines: Vec<_> = all.map(|image| self.line(&image)).collect();
        lines.sort();
        lines
    }

    fn line(&self, image: &Value) -> String {
        let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
        let name = &self.names[image["fingerprint"].as_str().unwrap()];
        let flags = [("public", 'p'), ("auto_update", 'a'), ("cached", 'c')];
        let flags = flags.map(|(key, flag)| if image[key] == true { flag } else { '-' });
        let is_used = text(&image["last_used_at"]).starts_with("20");
        let used = if is_used { 'u' } else { '-' };
        let aliases = image["aliases"].as_array().unwrap().iter();
        let mut aliases: Vec<_> = aliases.map(|alias| text(&alias["name"])).collect();
        aliases.sort();
        let profiles = image["profiles"].as_array().unwrap().iter().map(text);
        let day = |key: &str| text(&image[key]).split('T').next().unwrap().to_owned();
        format!(
            "{name} {}{used} [{}] {} {} {} {} {} {}",
            flags.into_iter().collect::<String>(),
            aliases.join(" "),
            text(&image["properties"]["serial"]),
            day("created_at"),
            day("expires_at"),
            text(&image["properties"]["label"]),
            profiles.collect::<String>(),
            text(&image["update_source"]["alias"]),
        )
    }

    /// Starts the daemon anew, which has it look after its images, and waits for this state.
    #[track_caller]
    fn becomes(&mut self, expected: &[&str]) {
        if against_lxd() {
            // It would believe its lists for an hour. There may be none yet.
            drop(fs::remove_dir_all(self.site.daemon.dir().join("cache")));
        }
        self.site.daemon.restart();
        let mut state = Vec::new();
        let is_so = soon(PATIENCE, || {
            state = self.state();
            state == expected
        });
        assert!(is_so, "{state:#?}\nrather than {expected:#?}");
    }
}

fn serial(version: u32) -> String {
    format!("2024010{version}_0000")
}

#[test]
fn what_a_server_changes_is_followed() {
    let mut story = Story::begin();
    let products = ["alpha", "bravo", "kilo", "lima", "oscar", "papa", "tango"];
    for product in products {
        story.offer(product, 1);
    }
    let updated = json!({"auto_update": true});
    let with_aliases =
        json!({"auto_update": true, "aliases": [{"name": "mine"}, {"name": "mine2"}]});
    let alpha = story.pull("alpha", &with_aliases);
    story.pull("bravo", &json!({"aliases": [{"name": "bravo"}]}));
    story.pull("kilo", &json!({"auto_update": true, "public": true}));
    story.pull("lima", &updated);
    story.pull("oscar", &updated);
    let papa = json!({"auto_update": true, "aliases": [{"name": "papa"}]});
    story.pull("papa", &papa);
    let daemon = &story.site.daemon;
    let source = story.site.wish(&json!({"alias": "tango"}))["source"].clone();
    let devices = json!({"root": {"type": "disk", "path": "/", "pool": "default"}});
    let body = json!({"name": "i", "source": source, "devices": devices});
    daemon.succeeds(&daemon.post("/1.0/instances", &body));
    daemon.post("/1.0/profiles", &json!({"name": "p"}));
    let edit = json!({"public": true, "auto_update": true, "profiles": ["p"],
        "properties": {"label": "edited", "os": "Testix", "serial": serial(1)}});
    daemon.put(&format!("/1.0/images/{alpha}"), &edit).is_done();
    // LXD: what was edited goes with the image that it was edited of.
    let label = if against_lxd() { "release" } else { "edited" };

    // Newer versions of all but papa.
    for product in products.into_iter().filter(|product| *product != "papa") {
        story.offer(product, 2);
    }
    let alpha2 =
        format!("alpha2 pa-- [mine mine2] 20240102_0000 2024-01-02 2031-02-03 {label} p alpha");
    let bravo = "bravo1 ---- [bravo] 20240101_0000 2024-01-01 2031-02-03 release default bravo";
    let kilo = "kilo2 pa-- [] 20240102_0000 2024-01-02 2031-02-03 release default kilo";
    let lima = "lima2 -a-- [] 20240102_0000 2024-01-02 2031-02-03 release default lima";
    let oscar = "oscar2 -a-- [] 20240102_0000 2024-01-02 2031-02-03 release default oscar";
    let papa = "papa1 -a-- [papa] 20240101_0000 2024-01-01 2031-02-03 release default papa";
    let tango = "tango2 -acu [] 20240102_0000 2024-01-02 2031-02-03 release default tango";
    story.becomes(&[&alpha2, bravo, kilo, lima, oscar, papa, tango]);

    // A newer version is taken back, a product is gone, another one has another name.
    story.change(|products| {
        let versions = products["alpha"]["versions"].as_object_mut().unwrap();
        versions.remove(&serial(2));
        products.as_object_mut().unwrap().remove("kilo");
        products["lima"]["aliases"] = json!("other");
    });
    let alpha1 =
        format!("alpha1 pa-- [mine mine2] 20240101_0000 2024-01-01 2031-02-03 {label} p alpha");
    story.becomes(&[&alpha1, bravo, kilo, lima, oscar, papa, tango]);

    // Oscar is papa's second name: both images are one.
    story.change(|products| {
        products.as_object_mut().unwrap().remove("oscar");
        products["papa"]["aliases"] = json!("papa,oscar");
    });
    story.becomes(&[&alpha1, bravo, kilo, lima, papa, tango]);

    // Nobody answers.
    story.site.upstream.down();
    story.becomes(&[&alpha1, bravo, kilo, lima, papa, tango]);
    story.site.upstream.up();

    // One of the newer files is broken: the older image stays, and the other one comes.
    story.offer("alpha", 3);
    story.offer("tango", 3);
    let broken = file("tango", &serial(3), UNIFIED);
    story.site.upstream.page(&broken, Page::file(b"broken"));
    let alpha3 =
        format!("alpha3 pa-- [mine mine2] 20240103_0000 2024-01-03 2031-02-03 {label} p alpha");
    story.becomes(&[&alpha3, bravo, kilo, lima, papa, tango]);
}
