<?php

declare(strict_types=1);

namespace RrPgpool\Example;

/**
 * What the demo shows, part by part. It leaves nothing behind in the database.
 */
final class Tour
{
    public function __construct(private readonly GoridgeClient $client)
    {
    }

    /** @throws GoridgeException when anything goes otherwise than shown */
    public function run(string $address): void
    {
        $version = $this->client->call('pgpool.Version');
        $servers = json_encode($version['databases'], JSON_THROW_ON_ERROR);
        echo "rr-pgpool {$version['version']} at {$address}, PostgreSQL {$servers}\n";
        $this->statements();
        $this->transactions();
        $this->session();
        $this->observation();
        $this->must($this->client->execute('DROP TABLE demo_account'));
        echo "\nEverything worked.\n";
    }

    /**
     * @param array<string, mixed> $reply
     * @return array<string, mixed> the same reply, when it is no error
     */
    private function must(array $reply): array
    {
        if (isset($reply['error'])) {
            throw new GoridgeException("{$reply['error']} ({$reply['sqlstate']})");
        }

        return $reply;
    }

    private function balances(): void
    {
        Output::reply($this->client->execute('SELECT owner, balance FROM demo_account ORDER BY owner'));
    }

    private function transfer(string $txId, string $from, string $to, string $amount): void
    {
        $sql = 'UPDATE demo_account SET balance = balance + $2::numeric WHERE owner = $1';
        $this->must($this->client->execute($sql, [$from, "-{$amount}"], ['tx_id' => $txId]));
        $this->must($this->client->execute($sql, [$to, $amount], ['tx_id' => $txId]));
    }

    private function statements(): void
    {
        Output::title('Execute: typed arguments, typed results');
        Output::reply($this->client->execute(
            'SELECT $1::int AS int4, $2::float8 AS float8, $3::bool AS bool, $4::text AS text, '
            . '$5::int[] AS "int4[]", $6::jsonb AS jsonb, NULL AS "null", 12.50::numeric AS numeric',
            [42, 1.5, true, 'straße', [1, 2, 3], ['nested' => [true, null]]],
        ));

        Output::title('Execute: create a table, insert, RETURNING');
        $this->must($this->client->execute('DROP TABLE IF EXISTS demo_account'));
        $this->must($this->client->execute(
            'CREATE TABLE demo_account (owner text PRIMARY KEY, balance numeric NOT NULL CHECK (balance >= 0))',
        ));
        Output::reply($this->client->execute(
            'INSERT INTO demo_account SELECT * FROM unnest($1::text[], $2::numeric[]) RETURNING owner, balance',
            [['alice', 'bob'], ['100.00', '20.00']],
        ));

        Output::title('Execute: an SQL error is a normal reply with a SQLSTATE');
        $reply = $this->client->execute('INSERT INTO demo_account VALUES ($1, $2)', ['alice', 1]);
        Output::reply($reply);
        Output::line("constraint {$reply['error_detail']['constraint']}: {$reply['error_detail']['detail']}");

        Output::title('Execute: settings for one call only');
        foreach (['Asia/Tokyo', 'America/Lima'] as $zone) {
            Output::reply($this->client->execute(
                "SELECT current_setting('TimeZone') AS zone, '2030-01-01 00:00Z'::timestamptz AS instant",
                [],
                ['settings' => ['TimeZone' => $zone]],
            ));
        }
    }

    private function transactions(): void
    {
        Output::title('A transaction that commits');
        $reply = $this->must($this->client->call(
            'pgpool.TransactionBegin',
            ['isolation_level' => 'serializable'],
        ));
        $txId = $reply['tx_id'];
        $this->transfer($txId, 'alice', 'bob', '30.00');
        $reply = $this->must($this->client->call('pgpool.TransactionCommit', ['tx_id' => $txId]));
        Output::line('committed: ' . json_encode($reply['success'], JSON_THROW_ON_ERROR));
        $this->balances();

        Output::title('A transaction that rolls back');
        $txId = $this->must($this->client->call('pgpool.TransactionBegin'))['tx_id'];
        $this->transfer($txId, 'alice', 'bob', '70.00');
        Output::line('inside:');
        Output::reply($this->client->execute(
            'SELECT owner, balance FROM demo_account ORDER BY owner',
            [],
            ['tx_id' => $txId],
        ));
        $this->must($this->client->call('pgpool.TransactionRollback', ['tx_id' => $txId]));
        Output::line('afterwards:');
        $this->balances();
    }

    private function session(): void
    {
        Output::title('A session: one connection of our own, here for a temporary table');
        $session = ['session_id' => $this->must($this->client->call('pgpool.SessionBegin'))['session_id']];
        $this->must($this->client->execute('CREATE TEMP TABLE basket (item text)', [], $session));
        $this->must($this->client->execute('INSERT INTO basket VALUES ($1), ($2)', ['apple', 'pear'], $session));
        Output::reply($this->client->execute('SELECT item FROM basket', [], $session));
        $this->must($this->client->call('pgpool.SessionEnd', $session));
        Output::line('after SessionEnd:');
        Output::reply($this->client->execute('SELECT item FROM basket'));
    }

    private function observation(): void
    {
        Output::title('HealthCheck and PoolStats');
        foreach ($this->client->call('pgpool.HealthCheck', ['database' => '*'])['health'] as $name => $healthy) {
            Output::line($name . ': ' . ($healthy ? 'healthy' : 'not healthy'));
        }
        $stats = $this->must($this->client->call('pgpool.PoolStats'))['stats']['primary'];
        $shown = [
            'total_connections', 'idle_connections', 'active_connections', 'max_connections',
            'total_acquired', 'query_count', 'query_duration_us', 'error_count',
        ];
        Output::table($shown, [array_map(fn (string $name) => $stats[$name], $shown)]);
    }
}
