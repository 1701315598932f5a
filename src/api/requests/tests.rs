//! Each request with a body or two. The expected texts are LXD 5.0.2's own.

use super::*;
use crate::api::json::{Decode, Jmap, decode};

fn read<T: Decode>(body: &str) -> T {
    decode(body.as_bytes()).unwrap()
}

/// The text with which `body` is refused, without its constant beginning.
fn refusal<T: Decode + std::fmt::Debug>(body: &str) -> String {
    let text = decode::<T>(body.as_bytes())
        .unwrap_err()
        .message()
        .to_owned();
    text.strip_prefix("json: cannot unmarshal ")
        .unwrap_or(&text)
        .to_owned()
}

/// Refusals of a list for the body as a whole, which show the name of the type.
macro_rules! whole_body {
    ($($type:ty => $go:literal),* $(,)?) => {
        $(assert_eq!(refusal::<$type>("[]"), concat!("array into Go value of type ", $go));)*
    };
}

/// Refusals of a wrong type for each of a struct's fields, in any order.
fn fields<T: Decode + std::fmt::Debug>(expected: &[(&str, &str)]) {
    for (place, go_type) in expected {
        let (_, path) = place.split_once('.').unwrap();
        let mut body = "[[5]]".to_owned();
        for key in path.rsplit('.') {
            body = match key.strip_suffix("[]") {
                Some(list) => format!("{{\"{list}\":[{body}]}}"),
                None => match key.strip_suffix("{}") {
                    Some(map) => format!("{{\"{map}\":{{\"k\":{body}}}}}"),
                    None => format!("{{\"{key}\":{body}}}"),
                },
            };
        }
        let place = place.replace("[]", "").replace("{}", "");
        let text = format!("array into Go struct field {place} of type {go_type}");
        assert_eq!(refusal::<T>(&body), text);
    }
}

#[test]
fn types_have_the_names_of_go() {
    whole_body! {
        ImagesPost => "api.ImagesPost",
        ImagePut => "api.ImagePut",
        ImageAliasesPost => "api.ImageAliasesPost",
        ImageAliasesEntryPut => "api.ImageAliasesEntryPut",
        ImageAliasesEntryPost => "api.ImageAliasesEntryPost",
        ServerPut => "api.ServerPut",
        ProjectsPost => "api.ProjectsPost",
        ProjectPut => "api.ProjectPut",
        ProjectPost => "api.ProjectPost",
        ProfilesPost => "api.ProfilesPost",
        ProfilePut => "api.ProfilePut",
        ProfilePost => "api.ProfilePost",
        StoragePoolsPost => "api.StoragePoolsPost",
        StoragePoolPut => "api.StoragePoolPut",
        Jmap => "shared.Jmap",
    }
}

#[test]
fn fields_of_images_have_the_types_of_go() {
    fields::<ImagesPost>(&[
        ("ImagesPost.aliases[]", "api.ImageAlias"),
        ("ImagesPost.auto_update", "bool"),
        ("ImagesPost.compression_algorithm", "string"),
        ("ImagesPost.filename", "string"),
        ("ImagesPost.profiles", "string"),
        ("ImagesPost.properties", "map[string]string"),
        ("ImagesPost.public", "bool"),
        ("ImagesPost.source", "api.ImagesPostSource"),
        ("ImageAlias.aliases[].name", "string"),
        ("ImageAlias.aliases[].description", "string"),
    ]);
    for key in [
        "alias",
        "certificate",
        "fingerprint",
        "image_type",
        "mode",
        "name",
        "project",
        "protocol",
        "secret",
        "server",
        "type",
        "url",
    ] {
        fields::<ImagesPost>(&[(&format!("ImagesPostSource.source.{key}"), "string")]);
    }
    fields::<ImagePut>(&[
        ("ImagePut.auto_update", "bool"),
        ("ImagePut.profiles", "string"),
        ("ImagePut.properties", "map[string]string"),
        ("ImagePut.public", "bool"),
    ]);
    assert_eq!(
        refusal::<ImagesPost>(r#"{"aliases":"x"}"#),
        "string into Go struct field ImagesPost.aliases of type []api.ImageAlias"
    );
    for key in ["description", "name", "target", "type"] {
        fields::<ImageAliasesPost>(&[(&format!("ImageAliasesPost.{key}"), "string")]);
    }
    fields::<ImageAliasesEntryPut>(&[
        ("ImageAliasesEntryPut.description", "string"),
        ("ImageAliasesEntryPut.target", "string"),
    ]);
    fields::<ImageAliasesEntryPost>(&[("ImageAliasesEntryPost.name", "string")]);
}

#[test]
fn the_body_that_lxc_sends_to_copy_an_image_is_read() {
    let request: ImagesPost = read(
        r#"{"auto_update":true,"properties":null,"public":false,"expires_at":"0001-01-01T00:00:00Z",
        "profiles":null,"filename":"","source":{"alias":"bb","certificate":"","protocol":"lxd",
        "server":"https://x","image_type":"container","mode":"pull","type":"image","url":"",
        "name":"","fingerprint":"","secret":"s","project":"p"},"compression_algorithm":"",
        "aliases":[{"name":"a","description":"d"}]}"#,
    );
    assert!(request.put.auto_update && !request.put.public);
    assert!(request.put.expires_at.is_zero());
    assert_eq!(request.put.properties, None);
    let source = request.source.unwrap();
    assert_eq!(
        (source.kind.as_str(), source.alias.as_str()),
        ("image", "bb")
    );
    assert_eq!(
        (source.secret.as_str(), source.project.as_str()),
        ("s", "p")
    );
    assert_eq!(request.aliases.unwrap()[0].description, "d");
}

#[test]
fn an_image_without_source_is_told_from_one_with_an_empty_source() {
    for body in ["null", "{}", r#"{"source":null}"#] {
        assert!(read::<ImagesPost>(body).source.is_none());
    }
    assert!(read::<ImagesPost>(r#"{"SOURCE":{}}"#).source.is_some());
}

#[test]
fn a_patch_of_an_image_finds_keys_exactly_that_its_struct_finds_in_any_case() {
    let body = br#"{"PUBLIC":true}"#;
    assert!(!decode::<Jmap>(body).unwrap().contains("public"));
    assert!(decode::<ImagePut>(body).unwrap().public);
}

#[test]
fn settings_keep_their_sort_of_value() {
    let put: ServerPut = read(r#"{"config":{"a":"x","b":true,"c":null,"d":5,"e":[1],"f":{}}}"#);
    let kinds: Vec<_> = put
        .config
        .values()
        .map(crate::api::json::Json::go_kind)
        .collect();
    assert_eq!(
        kinds,
        ["string", "bool", "invalid", "float64", "slice", "map"]
    );
}

#[test]
fn fields_of_everything_else_have_the_types_of_go() {
    fields::<ServerPut>(&[("ServerPut.config", "map[string]interface {}")]);
    fields::<ProjectsPost>(&[
        ("ProjectsPost.config", "map[string]string"),
        ("ProjectsPost.description", "string"),
        ("ProjectsPost.name", "string"),
    ]);
    fields::<ProjectPut>(&[("ProjectPut.config", "map[string]string")]);
    fields::<ProjectPost>(&[("ProjectPost.name", "string")]);
    fields::<ProfilesPost>(&[
        ("ProfilesPost.devices", "map[string]map[string]string"),
        ("ProfilesPost.name", "string"),
    ]);
    fields::<ProfilePut>(&[
        ("ProfilePut.config{}", "string"),
        ("ProfilePut.description", "string"),
    ]);
    fields::<ProfilePost>(&[("ProfilePost.name", "string")]);
    fields::<StoragePoolsPost>(&[
        ("StoragePoolsPost.config", "map[string]string"),
        ("StoragePoolsPost.description", "string"),
        ("StoragePoolsPost.driver", "string"),
        ("StoragePoolsPost.name", "string"),
    ]);
    fields::<StoragePoolPut>(&[("StoragePoolPut.config", "map[string]string")]);
}

#[test]
fn absent_profiles_and_properties_are_told_from_empty_ones() {
    let put: ImagePut = read(r#"{"profiles":[],"properties":{}}"#);
    assert_eq!(
        (put.profiles, put.properties),
        (Some(vec![]), Some(Config::new()))
    );
    let put: ImagePut = read(r#"{"profiles":null}"#);
    assert_eq!((put.profiles, put.properties), (None, None));
}

#[test]
fn a_bad_date_is_told_before_any_wrong_type() {
    let text =
        r#"parsing time "\"x\"" as "\"2006-01-02T15:04:05Z07:00\"": cannot parse "x\"" as "2006""#;
    assert_eq!(
        refusal::<ImagePut>(r#"{"public":5,"expires_at":"x"}"#),
        text
    );
    assert_eq!(
        refusal::<ImagePut>(r#"{"expires_at":"x","public":5}"#),
        text
    );
}
