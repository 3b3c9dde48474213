//! The behaviours that need nothing but statements.

use futures_util::future::try_join_all;

use super::{
    Client, Driver, Login, Outcome, SETTINGS, connect, connections, fails, mode, numbers, same,
    shared, table, text, variable, walk, word,
};

/// Those that a driver has no own version of.
pub async fn behaviour<D: Driver>(name: &str) -> Outcome {
    match name {
        "scram_login" => scram_login::<D>().await,
        "wrong_password" => wrong_password::<D>().await,
        "error_then_usable" => error_then_usable::<D>().await,
        "savepoint" => savepoint::<D>().await,
        "failed_transaction_then_rollback" => failed_transaction::<D>().await,
        "settings_follow" => settings_follow::<D>().await,
        "many_clients" => many_clients::<D>().await,
        "temp_table_outside_transaction" => temporary_table::<D>().await,
        "lastval_in_transaction" => lastval::<D>().await,
        _ => Err("the driver leaves it out".into()),
    }
}

async fn scram_login<D: Driver>() -> Outcome {
    let mut client = connect::<D>().await?;
    same(text(&mut client, "SELECT current_user::text").await?, variable("PGUSER"))
}

async fn wrong_password<D: Driver>() -> Outcome {
    fails::<D, _>("28P01", D::open(Login { wrong_password: true, ..Login::default() }).await)
}

async fn error_then_usable<D: Driver>() -> Outcome {
    let mut client = connect::<D>().await?;
    let table = table::<D>(&mut client, "errors", "n int PRIMARY KEY").await?;
    fails::<D, _>("22012", client.texts("SELECT (1 / 0)::text").await)?;
    same(text(&mut client, "SELECT 'well'").await?, "well".to_owned())?;
    fails::<D, _>("42P01", client.execute("SELECT * FROM drivers_nowhere").await)?;
    let insert = format!("INSERT INTO {table} VALUES (7)");
    client.execute(&insert).await?;
    fails::<D, _>("23505", client.execute(&insert).await)?;
    same(numbers(&mut client, &table).await?, vec![7])
}

async fn savepoint<D: Driver>() -> Outcome {
    let mut client = connect::<D>().await?;
    let table = table::<D>(&mut client, "savepoint", "n int").await?;
    client.execute("BEGIN").await?;
    client.execute(&format!("INSERT INTO {table} VALUES (1)")).await?;
    client.execute("SAVEPOINT s").await?;
    client.execute(&format!("INSERT INTO {table} VALUES (2)")).await?;
    fails::<D, _>("22012", client.execute("SELECT 1 / 0").await)?;
    client.execute("ROLLBACK TO SAVEPOINT s").await?;
    client.execute(&format!("INSERT INTO {table} VALUES (3)")).await?;
    client.execute("COMMIT").await?;
    same(numbers(&mut client, &table).await?, vec![1, 3])
}

async fn failed_transaction<D: Driver>() -> Outcome {
    let mut client = connect::<D>().await?;
    let table = table::<D>(&mut client, "failed", "n int").await?;
    client.execute("BEGIN").await?;
    client.execute(&format!("INSERT INTO {table} VALUES (1)")).await?;
    fails::<D, _>("42703", client.texts("SELECT nothing").await)?;
    fails::<D, _>("25P02", client.texts("SELECT 'well'").await)?;
    client.execute("ROLLBACK").await?;
    same(numbers(&mut client, &table).await?, vec![])
}

async fn settings_follow<D: Driver>() -> Outcome {
    let mut set = connect::<D>().await?;
    for (name, value) in SETTINGS[0] {
        set.execute(&format!("SELECT set_config('{name}', '{value}', false)")).await?;
    }
    let login = Login { settings: SETTINGS[1].to_vec(), ..Login::default() };
    let mut clients = [set, D::open(login).await?];
    walk::<D, _>(async || {
        for (client, settings) in clients.iter_mut().zip(SETTINGS) {
            for (name, value) in settings {
                same(text(client, &format!("SHOW {name}")).await?, value.to_owned())?;
            }
        }
        Ok(())
    })
    .await?;
    Ok(())
}

async fn many_clients<D: Driver>() -> Outcome {
    let clients = 4 * connections();
    let name = table::<D>(&mut connect::<D>().await?, "many", "n int").await?;
    let work = async |mut client: D::Client| {
        for n in 0..10 {
            client.execute("BEGIN").await?;
            client.execute(&format!("INSERT INTO {name} VALUES ({n})")).await?;
            same(text(&mut client, &format!("SELECT '{n}'")).await?, n.to_string())?;
            client.execute("COMMIT").await?;
        }
        Outcome::Ok(())
    };
    // Where each client keeps a server connection, they come and go; elsewhere all are there.
    if shared() {
        let all = try_join_all((0..clients).map(|_| connect::<D>())).await?;
        try_join_all(all.into_iter().map(&work)).await?;
    } else {
        try_join_all((0..clients).map(async |_| work(connect::<D>().await?).await)).await?;
    }
    let expected: Vec<i32> = (0..10).flat_map(|n| vec![n; clients]).collect();
    same(numbers(&mut connect::<D>().await?, &name).await?, expected)
}

async fn temporary_table<D: Driver>() -> Outcome {
    let mut client = connect::<D>().await?;
    let name = word::<D>("temporary");
    let create = format!("CREATE TEMPORARY TABLE {name} (n int)");
    if mode() == "transaction" {
        fails::<D, _>("0A000", client.execute(&create).await)?;
        return same(text(&mut client, "SELECT 'well'").await?, "well".to_owned());
    }
    client.execute(&create).await?;
    client.execute(&format!("INSERT INTO {name} VALUES (1)")).await?;
    same(numbers(&mut client, &name).await?, vec![1])?;
    let mut other = connect::<D>().await?;
    fails::<D, _>("42P01", other.execute(&format!("SELECT n FROM {name}")).await)
}

async fn lastval<D: Driver>() -> Outcome {
    let (mut client, mut other) = (connect::<D>().await?, connect::<D>().await?);
    let table = table::<D>(&mut client, "lastval", "id serial, t text").await?;
    let insert = format!("INSERT INTO {table} (t) VALUES ('tea') RETURNING id::text");
    for turn in 0..3 {
        client.execute("BEGIN").await?;
        same(text(&mut client, &insert).await?, (2 * turn + 1).to_string())?;
        same(text(&mut other, &insert).await?, (2 * turn + 2).to_string())?;
        same(text(&mut client, "SELECT lastval()::text").await?, (2 * turn + 1).to_string())?;
        client.execute("COMMIT").await?;
    }
    Ok(())
}
