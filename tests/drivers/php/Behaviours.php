<?php

declare(strict_types=1);

namespace RrPgpool\Drivers;

/** What the behaviours of both drivers share, and those that need nothing but statements. */
abstract class Behaviours
{
    protected const DRIVER = '';
    protected const LARGE = 4 << 20;
    /** A client's own settings, and another's. */
    protected const SETTINGS = [
        ['application_name' => 'tea', 'search_path' => 'pg_catalog, public', 'TimeZone' => 'Asia/Tokyo'],
        ['application_name' => 'milk', 'search_path' => 'public', 'TimeZone' => 'America/Lima'],
    ];
    /** How many statements with a text of this kind others are running. */
    protected const RUNNING = "SELECT count(*) FROM pg_stat_activity, pg_sleep(0.01)
        WHERE state = 'active' AND pid <> pg_backend_pid() AND strpos(query, ?) > 0";

    protected readonly string $mode;
    protected readonly int $connections;
    /** Whether clients of this database are moved from one server connection to another. */
    protected readonly bool $shared;
    /** @var list<Client> */
    private array $opened = [];

    public function __construct()
    {
        $this->mode = (string) getenv('MODE');
        $this->connections = (int) getenv('CONNECTIONS');
        $this->shared = $this->mode !== 'session';
    }

    /** @param array<string, string> $options libpq's, by name */
    abstract protected function open(array $options = []): Client;

    /** @param array<string, string> $options libpq's, by name */
    protected static function source(array $options, string $separator): string
    {
        $all = [
            'host' => getenv('PGHOST'),
            'port' => getenv('PGPORT'),
            'dbname' => getenv('PGDATABASE'),
            'user' => getenv('PGUSER'),
            'password' => getenv('PGPASSWORD'),
            ...$options,
        ];
        $quoted = array_map(fn (string $name): string => "{$name}='{$all[$name]}'", array_keys($all));

        return implode($separator, $quoted);
    }

    /** @param array<string, string> $options */
    protected function connect(array $options = []): Client
    {
        return $this->opened[] = $this->open($options);
    }

    public function close(): void
    {
        foreach ($this->opened as $client) {
            $client->close();
        }
        $this->opened = [];
    }

    /** A table's name that no other driver or mode uses. */
    protected function word(string $word): string
    {
        return 'drivers_' . static::DRIVER . "_{$this->mode}_{$word}";
    }

    protected function table(Client $client, string $word, string $columns): string
    {
        $name = $this->word($word);
        $client->rows("DROP TABLE IF EXISTS {$name}");
        $client->rows("CREATE TABLE {$name} ({$columns})");

        return $name;
    }

    /** @param list<mixed> $args */
    protected function value(Client $client, string $sql, array $args = []): ?string
    {
        $rows = $client->rows($sql, $args);
        $this->same(count($rows), 1);

        return $rows[0][0];
    }

    /** @return list<int> */
    protected function numbers(Client $client, string $table): array
    {
        return array_map(intval(...), array_column($client->rows("SELECT n FROM {$table} ORDER BY n"), 0));
    }

    protected function same(mixed $found, mixed $expected): void
    {
        if ($found !== $expected) {
            $show = fn (mixed $value): string => substr(var_export($value, true), 0, 200);
            throw new \RuntimeException("expected {$show($expected)}, found {$show($found)}");
        }
    }

    protected function fails(string $sqlstate, callable $action): SqlError
    {
        try {
            $action();
        } catch (SqlError $error) {
            if ($error->sqlstate !== $sqlstate) {
                throw $error;
            }

            return $error;
        }
        throw new \RuntimeException("no error, expected {$sqlstate}");
    }

    /**
     * Calls the action on each server connection where clients share them.
     *
     * @return list<mixed> its results
     */
    protected function walk(callable $action): array
    {
        if (!$this->shared) {
            return array_map(fn (): mixed => $action(), range(1, 3));
        }
        $holders = array_map(fn (): Client => $this->connect(), range(1, $this->connections));
        foreach ($holders as $holder) {
            $holder->rows('BEGIN');
        }
        $found = [];
        foreach ($holders as $holder) {
            $holder->rows('ROLLBACK');
            $found[] = $action();
            $holder->rows('BEGIN');
        }
        foreach ($holders as $holder) {
            $holder->rows('ROLLBACK');
        }

        return $found;
    }

    public function scramLogin(): void
    {
        // libpq 16 and newer then accept no other way.
        $options = version_compare($this->libpq(), '16') >= 0 ? ['require_auth' => 'scram-sha-256'] : [];
        $this->same($this->value($this->connect($options), 'SELECT current_user'), getenv('PGUSER'));
    }

    public function title(): string
    {
        return static::DRIVER . " with libpq {$this->libpq()}";
    }

    abstract protected function libpq(): string;

    public function tls(): void
    {
        $authorities = getenv('PGPOOL_TLS_CA') ?: throw new Skip('PGPOOL_TLS_CA is not set');
        // In this mode libpq refuses a connection without encryption.
        $client = $this->connect(['sslmode' => 'verify-full', 'sslrootcert' => $authorities]);
        $this->same($this->value($client, 'SELECT 1'), '1');
    }

    public function types(): void
    {
        $client = $this->connect();
        $values = [
            'int2' => '-32768',
            'int4' => '2147483647',
            'int8' => '-9223372036854775808',
            'float8' => '1.5e-300',
            'numeric' => '-12345678901234567890.000123',
            'text' => "tea \u{2615} 'and' \\ \"more\"\n\$1 %s :name",
            'date' => '2024-02-29',
            'time' => '23:59:59.999999',
            'timestamp' => '2024-01-02 03:04:05.000006',
            'timestamptz' => '2024-01-02 03:04:05.000006+00',
            'interval' => '-3 days +00:00:05',
            'uuid' => '00000000-0000-4000-8000-00000000abcd',
            'jsonb' => '{"a": [1, null, {"b": "é"}]}',
            'int4[]' => '{1,NULL,3}',
            'text[]' => '{"a,b",NULL,"c\"d",""}',
        ];
        foreach ($values as $type => $value) {
            $this->same($this->value($client, "SELECT CAST(? AS {$type})", [$value]), $value);
        }
    }

    public function unnamedParameters(): void
    {
        $client = $this->connect();
        for ($n = 0; $n < 20; $n++) {
            $this->same($this->value($client, 'SELECT CAST(? AS int) + 1', [$n]), (string) ($n + 1));
            $this->same($this->value($client, "SELECT 'tea ' || CAST(? AS text)", ["{$n}"]), "tea {$n}");
            $this->same($this->value($client, "SELECT CAST(? AS float8) / 2", [$n + 0.5]), (string) ($n / 2 + 0.25));
        }
    }

    public function errorThenUsable(): void
    {
        $client = $this->connect();
        $table = $this->table($client, 'errors', 'n int PRIMARY KEY');
        $this->fails('22012', fn () => $client->rows('SELECT 1 / CAST(? AS int)', [0]));
        $this->same($this->value($client, 'SELECT 1'), '1');
        $this->fails('42P01', fn () => $client->rows('SELECT * FROM drivers_nowhere'));
        $client->rows("INSERT INTO {$table} VALUES (?)", [7]);
        $error = $this->fails('23505', fn () => $client->rows("INSERT INTO {$table} VALUES (?)", [7]));
        $this->same(str_contains($error->getMessage(), "\"{$table}_pkey\""), true);
        $this->same($this->numbers($client, $table), [7]);
    }

    public function failedTransactionThenRollback(): void
    {
        $client = $this->connect();
        $table = $this->table($client, 'failed', 'n int');
        $client->rows('BEGIN');
        $client->rows("INSERT INTO {$table} VALUES (?)", [1]);
        $this->fails('42703', fn () => $client->rows('SELECT nothing'));
        $this->fails('25P02', fn () => $client->rows('SELECT CAST(? AS int)', [1]));
        $client->rows('ROLLBACK');
        $this->same($this->numbers($client, $table), []);
    }

    public function savepoint(): void
    {
        $client = $this->connect();
        $table = $this->table($client, 'savepoint', 'n int');
        $client->rows('BEGIN');
        $client->rows("INSERT INTO {$table} VALUES (?)", [1]);
        $client->rows('SAVEPOINT s');
        $client->rows("INSERT INTO {$table} VALUES (?)", [2]);
        $this->fails('22012', fn () => $client->rows('SELECT 1 / 0'));
        $client->rows('ROLLBACK TO SAVEPOINT s');
        $client->rows("INSERT INTO {$table} VALUES (?)", [3]);
        $client->rows('COMMIT');
        $this->same($this->numbers($client, $table), [1, 3]);
    }

    /** Neither driver reads portals in pieces, but cursors of SQL are for everybody. */
    public function cursor(): void
    {
        $client = $this->connect();
        $client->rows('BEGIN');
        $client->rows('DECLARE pieces CURSOR FOR SELECT generate_series(1, CAST(? AS int))', [1000]);
        $found = [];
        while ($rows = $client->rows('FETCH 70 FROM pieces')) {
            array_push($found, ...array_map(intval(...), array_column($rows, 0)));
        }
        $this->same($found, range(1, 1000));
        $client->rows('DECLARE half CURSOR FOR SELECT generate_series(1, 1000)');
        $this->same($this->value($client, 'FETCH half'), '1');
        $client->rows('COMMIT');
        $this->fails('34000', fn () => $client->rows('FETCH half'));
        $this->same($this->value($client, 'SELECT 1'), '1');
    }

    public function settingsFollow(): void
    {
        $zone = self::SETTINGS[1]['TimeZone'];
        $options = ['application_name' => 'milk', 'options' => "-c search_path=public -c timezone={$zone}"];
        $clients = [$this->connect(), $this->connect($options)];
        foreach (self::SETTINGS[0] as $name => $value) {
            $clients[0]->rows('SELECT set_config(?, ?, false)', [$name, $value]);
        }
        $this->walk(function () use ($clients): void {
            foreach ($clients as $n => $client) {
                foreach (self::SETTINGS[$n] as $name => $value) {
                    $this->same($this->value($client, "SHOW {$name}"), $value);
                }
            }
        });
    }

    public function manyClients(): void
    {
        $count = 4 * $this->connections;
        $table = $this->table($this->connect(), 'many', 'n int');
        $this->close();
        $command = [PHP_BINARY, __DIR__ . '/run.php', static::DRIVER, '--client', $table];
        $clients = [];
        for ($n = 0; $n < $count; $n++) {
            $clients[] = $client = proc_open($command, [['pipe', 'r'], ['pipe', 'w'], STDERR], $pipes[$n]);
            $this->same(is_resource($client), true);
        }
        // Where each client keeps a server connection, they come and go; elsewhere all are there.
        foreach ($this->shared ? $pipes : [] as $pipe) {
            $this->same(fgets($pipe[1]), "connected\n");
        }
        foreach ($pipes as $pipe) {
            fclose($pipe[0]);
        }
        foreach ($clients as $n => $client) {
            $said = stream_get_contents($pipes[$n][1]);
            $this->same([proc_close($client), str_ends_with($said, "done\n")], [0, true]);
        }
        $expected = array_merge(...array_map(fn (int $n): array => array_fill(0, $count, $n), range(0, 9)));
        $this->same($this->numbers($this->connect(), $table), $expected);
    }

    /** One of many clients, each in a process of its own, which waits for the end of its input. */
    public function workAsOneOfMany(string $table): void
    {
        $client = $this->connect();
        echo "connected\n";
        stream_get_contents(STDIN);
        for ($n = 0; $n < 10; $n++) {
            $client->rows('BEGIN');
            $client->rows("INSERT INTO {$table} VALUES (?)", [$n]);
            $this->same($this->value($client, 'SELECT CAST(? AS int)', [$n]), (string) $n);
            $client->rows('COMMIT');
        }
        echo "done\n";
    }

    public function tempTableOutsideTransaction(): void
    {
        $client = $this->connect();
        $name = $this->word('temporary');
        $create = "CREATE TEMPORARY TABLE {$name} (n int)";
        if ($this->mode === 'transaction') {
            $this->fails('0A000', fn () => $client->rows($create));
            $this->same($this->value($client, 'SELECT 1'), '1');

            return;
        }
        $client->rows($create);
        $client->rows("INSERT INTO {$name} VALUES (?)", [1]);
        $this->same($this->numbers($client, $name), [1]);
        $other = $this->connect();
        $this->fails('42P01', fn () => $other->rows("SELECT n FROM {$name}"));
    }
}
