//! The JSON Schema of the `pgpool:` section, from the same types that read it.

use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::suggest;
use super::types::Config;

/// What a value looks like that refers to the environment.
const REFERENCE: &str = r"\$(\{[A-Za-z_]|[A-Za-z_])";

/// The schema (draft 2019-09) of what stands under `pgpool:`.
pub fn json_schema() -> Value {
    let generator = SchemaSettings::draft2019_09().into_generator();
    let mut schema = generator.into_root_schema_for::<Config>().to_value();
    tidy(&mut schema);
    let Value::Object(mut body) = schema else { return schema };
    let description = "PostgreSQL connection pools. Durations are written as in Go (1h30m); every \
                       value may hold ${VARIABLE} or ${VARIABLE:-default}.";
    let mut root = Map::new();
    root.insert("$schema".to_owned(), body.remove("$schema").unwrap_or_default());
    root.insert("title".to_owned(), json!("rr-pgpool: the pgpool section of .rr.yaml"));
    root.insert("description".to_owned(), json!(description));
    body.remove("title");
    body.remove("description");
    root.extend(body);
    Value::Object(root)
}

/// Makes the schema say what the loader does: nothing may be unknown, and every scalar may come
/// from the environment.
fn tidy(schema: &mut Value) {
    match schema {
        Value::Array(items) => items.iter_mut().for_each(tidy),
        Value::Object(object) => {
            object.values_mut().for_each(tidy);
            tidy_object(object);
        }
        _ => {}
    }
}

fn tidy_object(object: &mut Map<String, Value>) {
    // The keyword, not a setting of that name.
    object.retain(|key, value| key != "format" || !value.is_string());
    if let Some(Value::String(text)) = object.get_mut("description") {
        *text = text.replace('\n', " ").replace("  ", " ").replace('`', "");
    }
    // Defaults of whole sections would repeat those of their keys.
    if object.get("default").is_some_and(|default| default.is_object() || default.is_null()) {
        object.remove("default");
    }
    unwrap_optional(object);
    if object.get("properties").is_some_and(Value::is_object) && object.contains_key("type") {
        object.remove("unevaluatedProperties");
        object.insert("additionalProperties".to_owned(), Value::Bool(false));
    }
    allow_references(object);
}

/// `null` means "not set" everywhere, so that saying it of some keys only would mislead.
fn unwrap_optional(object: &mut Map<String, Value>) {
    if let Some(Value::Array(types)) = object.get_mut("type") {
        types.retain(|name| name != "null");
        if let [only] = types.as_slice() {
            let only = only.clone();
            object.insert("type".to_owned(), only);
        }
    }
    if let Some(Value::Array(values)) = object.get_mut("enum") {
        values.retain(|value| !value.is_null());
    }
    let Some(Value::Array(choices)) = object.get_mut("anyOf") else { return };
    choices.retain(|choice| choice.get("type").is_none_or(|kind| kind != "null"));
    if let [Value::Object(only)] = choices.as_slice() {
        let only = only.clone();
        object.remove("anyOf");
        for (key, value) in only {
            object.entry(key).or_insert(value);
        }
    }
}

fn allow_references(object: &mut Map<String, Value>) {
    let kind = object.get("type").and_then(Value::as_str).map(str::to_owned);
    let as_text = match kind.as_deref() {
        Some("integer") => Some("^[0-9]+$".to_owned()),
        Some("boolean") => Some("^(true|false)$".to_owned()),
        _ => object.get("pattern").and_then(Value::as_str).map(str::to_owned),
    };
    if let Some(as_text) = as_text {
        // A pattern says nothing of numbers and booleans, limits nothing of texts.
        object.insert("pattern".to_owned(), json!(format!("{as_text}|{REFERENCE}")));
        if let Some("integer" | "boolean") = kind.as_deref() {
            object.insert("type".to_owned(), json!([kind, "string"]));
        }
    }
    let choice = object.remove("enum").map(|values| json!({ "enum": values }));
    let choice = choice.or_else(|| object.remove("oneOf").map(|values| json!({ "oneOf": values })));
    if let Some(choice) = choice {
        object.remove("type");
        let reference = json!({ "type": "string", "pattern": REFERENCE });
        object.insert("anyOf".to_owned(), json!([choice, reference]));
    }
}

/// Every key of the section, as a path below `pgpool`; `*` stands for a database's name, and `[]`
/// follows a list.
pub(crate) fn key_paths() -> Vec<String> {
    let schema = json_schema();
    let mut paths = Vec::new();
    collect(&schema, &schema, "", &mut paths);
    paths
}

fn collect(root: &Value, schema: &Value, path: &str, paths: &mut Vec<String>) {
    let schema = resolve(root, schema);
    let join = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
    if let Some(Value::Object(properties)) = schema.get("properties") {
        for (key, value) in properties {
            let path = join(key);
            paths.push(path.clone());
            collect(root, value, &path, paths);
        }
    }
    if let Some(values) = schema.get("additionalProperties").filter(|values| values.is_object()) {
        collect(root, values, &join("*"), paths);
    }
    if let Some(items) = schema.get("items") {
        collect(root, items, &format!("{path}[]"), paths);
    }
    // A value that may be a map, or something shorter.
    for form in schema.get("anyOf").and_then(Value::as_array).into_iter().flatten() {
        collect(root, form, path, paths);
    }
}

/// Smallest and largest value of a key below `pgpool`, such as `backends.primary.port`.
pub(crate) fn limits(key: &str) -> Option<(i64, i64)> {
    let root = json_schema();
    let mut schema = resolve(&root, &root);
    for segment in key.split(['.', '[']).filter(|segment| !segment.is_empty()) {
        let named = schema.get("properties").and_then(|properties| properties.get(segment));
        let next = named.or_else(|| schema.get("additionalProperties"));
        schema = resolve(&root, next.or_else(|| schema.get("items"))?);
    }
    Some((schema.get("minimum")?.as_i64()?, schema.get("maximum")?.as_i64()?))
}

/// Follows a reference to a definition.
fn resolve<'s>(root: &'s Value, schema: &'s Value) -> &'s Value {
    let target = schema.get("$ref").and_then(Value::as_str).and_then(|name| name.strip_prefix('#'));
    target.and_then(|pointer| root.pointer(pointer)).unwrap_or(schema)
}

/// Where a key that is unknown at `wrong` belongs, when its name is known elsewhere.
pub(crate) fn place_for(wrong: &str) -> Option<String> {
    let name = wrong.rsplit('.').next()?;
    let shared =
        |path: &str| wrong.split('.').zip(path.split('.')).take_while(|(a, b)| a == b).count();
    key_paths()
        .into_iter()
        .filter(|path| path.rsplit('.').next().is_some_and(|last| suggest::is_same(name, last)))
        .map(|path| format!("pgpool.{path}").replace('*', "NAME"))
        // Of several, the one nearest to where the key stands; the first of those.
        .rev()
        .max_by_key(|path| shared(path))
}
