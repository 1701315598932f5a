//! Each request with a body or two. The expected texts are LXD 5.0.2's own.

use super::*;
use crate::api::{
    json::{Decode, Jmap, decode, decode_into},
    time::Timestamp,
};

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
        ImageExportPost => "api.ImageExportPost",
        ImageAliasesPost => "api.ImageAliasesPost",
        ImageAliasesEntryPut => "api.ImageAliasesEntryPut",
        ImageAliasesEntryPost => "api.ImageAliasesEntryPost",
        ServerPut => "api.ServerPut",
        ClusterPut => "api.ClusterPut",
        WarningPut => "api.WarningPut",
        CertificatesPost => "api.CertificatesPost",
        CertificatePut => "api.CertificatePut",
        Certificate => "api.Certificate",
        ProjectsPost => "api.ProjectsPost",
        ProjectPut => "api.ProjectPut",
        ProjectPost => "api.ProjectPost",
        ProfilesPost => "api.ProfilesPost",
        ProfilePut => "api.ProfilePut",
        ProfilePost => "api.ProfilePost",
        StoragePoolsPost => "api.StoragePoolsPost",
        StoragePoolPut => "api.StoragePoolPut",
        NetworksPost => "api.NetworksPost",
        InstancesPost => "api.InstancesPost",
        InstancePut => "api.InstancePut",
        InstancePost => "api.InstancePost",
        InstancesPut => "api.InstancesPut",
        InstanceStatePut => "api.InstanceStatePut",
        InstanceSnapshotsPost => "api.InstanceSnapshotsPost",
        ImageMetadata => "api.ImageMetadata",
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
fn fields_of_instances_have_the_types_of_go() {
    fields::<InstancesPost>(&[
        ("InstancesPost.architecture", "string"),
        ("InstancesPost.config", "map[string]string"),
        ("InstancesPost.config{}", "string"),
        ("InstancesPost.description", "string"),
        ("InstancesPost.devices", "map[string]map[string]string"),
        ("InstancesPost.devices{}", "map[string]string"),
        ("InstancesPost.ephemeral", "bool"),
        ("InstancesPost.instance_type", "string"),
        ("InstancesPost.name", "string"),
        ("InstancesPost.profiles", "string"),
        ("InstancesPost.restore", "string"),
        ("InstancesPost.source", "api.InstanceSource"),
        ("InstancesPost.stateful", "bool"),
        ("InstancesPost.type", "api.InstanceType"),
        ("InstanceSource.source.properties", "map[string]string"),
        ("InstanceSource.source.secrets", "map[string]string"),
    ]);
    for key in [
        "allow_inconsistent",
        "container_only",
        "instance_only",
        "live",
        "refresh",
    ] {
        fields::<InstancesPost>(&[(&format!("InstanceSource.source.{key}"), "bool")]);
    }
    for key in [
        "alias",
        "base-image",
        "certificate",
        "fingerprint",
        "mode",
        "operation",
        "project",
        "protocol",
        "secret",
        "server",
        "source",
        "type",
    ] {
        fields::<InstancesPost>(&[(&format!("InstanceSource.source.{key}"), "string")]);
    }
    fields::<InstancePut>(&[
        ("InstancePut.architecture", "string"),
        ("InstancePut.config", "map[string]string"),
        ("InstancePut.description", "string"),
        ("InstancePut.devices", "map[string]map[string]string"),
        ("InstancePut.ephemeral", "bool"),
        ("InstancePut.profiles", "string"),
        ("InstancePut.restore", "string"),
        ("InstancePut.stateful", "bool"),
    ]);
}

#[test]
fn fields_of_what_is_done_to_instances_have_the_types_of_go() {
    for key in [
        "allow_inconsistent",
        "container_only",
        "instance_only",
        "live",
        "migration",
    ] {
        fields::<InstancePost>(&[(&format!("InstancePost.{key}"), "bool")]);
    }
    fields::<InstancePost>(&[
        ("InstancePost.name", "string"),
        ("InstancePost.pool", "string"),
        ("InstancePost.project", "string"),
        ("InstancePost.target", "api.InstancePostTarget"),
        ("InstancePostTarget.target.certificate", "string"),
        ("InstancePostTarget.target.operation", "string"),
        ("InstancePostTarget.target.secrets", "map[string]string"),
    ]);
    fields::<InstanceStatePut>(&[
        ("InstanceStatePut.action", "string"),
        ("InstanceStatePut.force", "bool"),
        ("InstanceStatePut.stateful", "bool"),
        ("InstanceStatePut.timeout", "int"),
    ]);
    fields::<InstancesPut>(&[
        ("InstancesPut.state", "api.InstanceStatePut"),
        ("InstanceStatePut.state.timeout", "int"),
    ]);
    fields::<InstanceSnapshotsPost>(&[
        ("InstanceSnapshotsPost.name", "string"),
        ("InstanceSnapshotsPost.stateful", "bool"),
    ]);
    fields::<ImageMetadata>(&[
        ("ImageMetadata.architecture", "string"),
        ("ImageMetadata.creation_date", "int64"),
        ("ImageMetadata.expiry_date", "int64"),
        ("ImageMetadata.properties", "map[string]string"),
        (
            "ImageMetadata.templates",
            "map[string]*api.ImageMetadataTemplate",
        ),
        ("ImageMetadata.templates{}", "api.ImageMetadataTemplate"),
        ("ImageMetadataTemplate.templates{}.create_only", "bool"),
        (
            "ImageMetadataTemplate.templates{}.properties",
            "map[string]string",
        ),
        ("ImageMetadataTemplate.templates{}.template", "string"),
        ("ImageMetadataTemplate.templates{}.when", "string"),
    ]);
}

#[test]
fn fields_of_everything_else_have_the_types_of_go() {
    fields::<ServerPut>(&[("ServerPut.config", "map[string]interface {}")]);
    fields::<ClusterPut>(&[
        ("ClusterPut.enabled", "bool"),
        ("ClusterPut.server_name", "string"),
    ]);
    fields::<WarningPut>(&[("WarningPut.status", "string")]);
    fields::<CertificatesPost>(&[
        ("CertificatesPost.certificate", "string"),
        ("CertificatesPost.name", "string"),
        ("CertificatesPost.password", "string"),
        ("CertificatesPost.projects", "string"),
        ("CertificatesPost.restricted", "bool"),
        ("CertificatesPost.token", "bool"),
        ("CertificatesPost.type", "string"),
    ]);
    fields::<CertificatePut>(&[
        ("CertificatePut.name", "string"),
        ("CertificatePut.type", "string"),
        ("CertificatePut.restricted", "bool"),
        ("CertificatePut.projects", "string"),
        ("CertificatePut.certificate", "string"),
    ]);
    fields::<Certificate>(&[
        ("Certificate.name", "string"),
        ("Certificate.fingerprint", "string"),
    ]);
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
    fields::<NetworksPost>(&[
        ("NetworksPost.config", "map[string]string"),
        ("NetworksPost.description", "string"),
        ("NetworksPost.name", "string"),
        ("NetworksPost.type", "string"),
    ]);
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
fn absent_profiles_and_properties_are_told_from_empty_ones() {
    let put: ImagePut = read(r#"{"profiles":[],"properties":{}}"#);
    assert_eq!(
        (put.profiles, put.properties),
        (Some(vec![]), Some(Config::new()))
    );
    let put: ImagePut = read(r#"{"profiles":null}"#);
    assert_eq!((put.profiles, put.properties), (None, None));
    assert_eq!(read::<InstancesPost>("{}").put.profiles, None);
}

#[test]
fn a_patch_of_an_image_finds_keys_exactly_that_its_struct_finds_in_any_case() {
    let body = br#"{"PUBLIC":true}"#;
    assert!(!decode::<Jmap>(body).unwrap().contains("public"));
    assert!(decode::<ImagePut>(body).unwrap().public);
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
    assert_eq!(
        refusal::<InstanceSnapshotsPost>(r#"{"expires_at":"x"}"#),
        text
    );
}

#[test]
fn an_export_takes_what_it_can_read() {
    for body in ["", "[]", r#"{"target":5}"#] {
        assert_eq!(
            ImageExportPost::decode_leniently(body.as_bytes()).target,
            ""
        );
    }
    let request =
        ImageExportPost::decode_leniently(br#"{"project":5,"target":"https://x","aliases":[]}"#);
    assert_eq!(
        (request.target.as_str(), request.project.as_str()),
        ("https://x", "")
    );
}

#[test]
fn the_type_of_an_instance_is_kept_as_it_was_written() {
    assert_eq!(
        read::<InstancesPost>(r#"{"type":"bogus"}"#).kind,
        InstanceType("bogus".into())
    );
    assert_eq!(
        read::<InstancesPost>(r#"{"type":null}"#).kind,
        InstanceType::default()
    );
}

#[test]
fn a_snapshot_without_expiry_is_told_from_one_that_never_expires() {
    assert_eq!(
        read::<InstanceSnapshotsPost>(r#"{"expires_at":null}"#).expires_at,
        None
    );
    let body = r#"{"expires_at":"0001-01-01T00:00:00Z"}"#;
    assert_eq!(
        read::<InstanceSnapshotsPost>(body).expires_at,
        Some(Timestamp::ZERO)
    );
}

#[test]
fn metadata_is_patched_over_what_is_there() {
    let mut metadata: ImageMetadata =
        read(r#"{"architecture":"x86_64","templates":{"/a":{"when":["create"]},"/b":null}}"#);
    decode_into(
        &mut metadata,
        br#"{"expiry_date":5,"templates":{"/c":{"template":"c"}}}"#,
    )
    .unwrap();
    assert_eq!(
        (metadata.architecture.as_str(), metadata.expiry_date),
        ("x86_64", 5)
    );
    assert_eq!(
        metadata.templates.keys().collect::<Vec<_>>(),
        ["/a", "/b", "/c"]
    );
    assert_eq!(metadata.templates["/a"].as_ref().unwrap().when, ["create"]);
    assert!(metadata.templates["/b"].is_none());
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
