//! The URL form: `postgres://user:password@host:port,host:port/dbname?key=value&…`.

use super::settings::Settings;
use super::{DsnError, keywords};

/// What follows the scheme, if the text is a URL for us.
pub(crate) fn strip_scheme(text: &str) -> Option<&str> {
    ["postgres://", "postgresql://"].iter().find_map(|scheme| {
        let head = text.get(..scheme.len())?;
        head.eq_ignore_ascii_case(scheme).then(|| text.get(scheme.len()..)).flatten()
    })
}

/// An error for the URLs of other tools, which would make strange key=value pairs.
pub(crate) fn foreign_scheme(text: &str) -> Option<DsnError> {
    let (scheme, rest) = text.split_once(':')?;
    let is_word = !scheme.is_empty()
        && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'_'));
    if !is_word || !(rest.starts_with("//") || scheme.eq_ignore_ascii_case("pgsql")) {
        return None;
    }
    Some(DsnError::syntax(
        "a URL must start with postgres:// or postgresql://, as in \
         postgres://user:password@host:5432/dbname",
    ))
}

/// Reads a URL after its scheme.
pub(crate) fn parse(rest: &str) -> Result<Settings, DsnError> {
    let mut settings = Settings::default();
    let at_or_slash = rest.find(['@', '/']);
    let credentials = at_or_slash.filter(|end| rest[*end..].starts_with('@'));
    let rest = match credentials {
        Some(end) => {
            user_and_password(&rest[..end], &mut settings)?;
            &rest[end + 1..]
        }
        None => rest,
    };
    // An '@' further on may mean that the password holds a '/': then no piece is repeated.
    let trusted = !rest.split('?').next().unwrap_or(rest).contains('@')
        && (credentials.is_some() || !rest.contains('@'));
    let (authority, query) = rest.split_once('?').unwrap_or((rest, ""));
    // A password ends at the last '@': what stands behind that is no piece of it.
    let echo_query = !query.contains('@');
    settings.echo = trusted && echo_query;
    let (hosts, database) = match authority.split_once('/') {
        Some((hosts, database)) => (hosts, Some(database)),
        None => (authority, None),
    };
    let at_in_hosts = hosts.contains('@');
    if !at_in_hosts {
        host_list(hosts, &mut settings)?;
    }
    if let Some(database) = database.filter(|name| !name.is_empty()) {
        if database.contains(['/', '@']) && !trusted {
            return Err(encode_credentials());
        }
        settings.set("dbname", decode(database, "dbname")?);
    }
    query_pairs(query, echo_query, &mut settings)?;
    if at_in_hosts {
        return Err(DsnError::value(
            "host",
            "there is an @ in it; an @ in the user or password must be written %40 (and / %2F, \
             : %3A, % %25)",
        ));
    }
    Ok(settings)
}

fn user_and_password(text: &str, settings: &mut Settings) -> Result<(), DsnError> {
    let (user, password) = match text.split_once(':') {
        Some((user, password)) => (user, Some(password)),
        None => (text, None),
    };
    settings.set("user", decode(user, "user")?);
    if let Some(password) = password {
        settings.set("password", decode(password, "password")?);
    }
    Ok(())
}

fn encode_credentials() -> DsnError {
    DsnError::syntax(
        "the host part cannot be read; characters such as @ / : % in the user or password must \
         be percent-encoded (%40 %2F %3A %25)",
    )
}

/// Gathers hosts and ports into comma-separated lists, the shape of the key=value form.
fn host_list(text: &str, settings: &mut Settings) -> Result<(), DsnError> {
    if text.is_empty() {
        return Ok(());
    }
    let mut hosts = Vec::new();
    let mut ports = Vec::new();
    for part in text.split(',') {
        let (host, port) = host_and_port(part)?;
        hosts.push(decode(host, "host")?);
        if !port.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(encode_credentials());
        }
        ports.push(port.to_owned());
    }
    if hosts.iter().any(|host| !host.is_empty()) {
        settings.set("host", hosts.join(","));
    }
    if ports.iter().any(|port| !port.is_empty()) {
        settings.set("port", ports.join(","));
    }
    Ok(())
}

fn host_and_port(part: &str) -> Result<(&str, &str), DsnError> {
    if let Some(inner) = part.strip_prefix('[') {
        let Some((host, after)) = inner.split_once(']') else {
            return Err(DsnError::value("host", "the ] that ends the IPv6 address is missing"));
        };
        return match after.strip_prefix(':') {
            Some(port) => Ok((host, port)),
            None if after.is_empty() => Ok((host, "")),
            None => Err(encode_credentials()),
        };
    }
    match part.split_once(':') {
        Some((_, port)) if port.contains(':') => Err(DsnError::value(
            "host",
            "an IPv6 address needs brackets in a URL: [::1]; a : in the password must be written \
             %3A",
        )),
        Some(split) => Ok(split),
        None => Ok((part, "")),
    }
}

/// Reads the pairs after `?`; `trusted` when no piece of a password can stand there.
fn query_pairs(query: &str, trusted: bool, settings: &mut Settings) -> Result<(), DsnError> {
    let mut echo = trusted;
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let Some((keyword, value)) = pair.split_once('=') else {
            return Err(DsnError::syntax("a parameter after ? is not of the form key=value"));
        };
        let keyword = decode(keyword, "keyword")?;
        if keyword == "ssl" && value == "true" {
            // JDBC's spelling, which libpq takes as well.
            settings.set("sslmode", "require".to_owned());
            continue;
        }
        let Some(known) = keywords::known(&keyword) else {
            return Err(keywords::unknown(&keyword, echo));
        };
        if value.contains('=') && !matches!(known, "options" | "password") {
            return Err(DsnError::value(known, "a = inside a value must be written %3D"));
        }
        settings.set(known, decode(value, known)?);
        // What follows an unencoded & may be the rest of the password.
        echo = trusted && known != "password";
    }
    Ok(())
}

/// Undoes percent-encoding; a `+` stays a plus, as in libpq.
fn decode(text: &str, keyword: &'static str) -> Result<String, DsnError> {
    if !text.contains('%') {
        return Ok(text.to_owned());
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digit = |byte: Option<u8>| byte.and_then(|byte| char::from(byte).to_digit(16));
        match (digit(rest.next()), digit(rest.next())) {
            (Some(high), Some(low)) if high + low > 0 => {
                bytes.push(u8::try_from(high * 16 + low).unwrap_or_default());
            }
            (Some(_), Some(_)) => {
                return Err(DsnError::value(keyword, "%00 is not allowed"));
            }
            _ => {
                return Err(DsnError::value(
                    keyword,
                    "a % must be followed by two hexadecimal digits; a percent sign itself is \
                     written %25",
                ));
            }
        }
    }
    String::from_utf8(bytes)
        .map_err(|_| DsnError::value(keyword, "the percent-encoded bytes are not UTF-8"))
}
