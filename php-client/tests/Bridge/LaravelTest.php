<?php

declare(strict_types=1);

namespace RrPgpool\Tests\Bridge;

use Closure;
use Illuminate\Container\Container;
use Illuminate\Contracts\Events\Dispatcher;
use Illuminate\Database\Capsule\Manager;
use Illuminate\Database\Connection;
use Illuminate\Database\Schema\Blueprint;
use InvalidArgumentException;
use RrPgpool\Bridge\Laravel\PgpoolConnection;
use RrPgpool\Bridge\Laravel\PgpoolServiceProvider;
use RrPgpool\Pdo\PgpoolPdo;
use RrPgpool\Tests\Pdo\FacadeTestCase;
use RrPgpool\Tests\Servers;
use RuntimeException;

/**
 * Laravel's database layer on the driver `pgpool`, and beside it on its own driver.
 */
final class LaravelTest extends FacadeTestCase
{
    protected function setUp(): void
    {
        $missing = Frameworks::missing(Connection::class);
        if ($missing !== null) {
            self::markTestSkipped($missing);
        }
    }

    /** @return iterable<string, array{Closure}> */
    public static function uses(): iterable
    {
        yield 'queries' => [static fn (Connection $db): array => [
            $db->select('SELECT ?::int AS a, ?::text AS b, ?::bool AS c', [1, 'x', true]),
            $db->selectOne('SELECT :a::int AS a', ['a' => 2]),
            $db->select("SELECT '{\"a\":1}'::jsonb AS j, 1.50::numeric AS n, now() - now() AS i"),
        ]];
        yield 'a table' => [static function (Connection $db): array {
            $table = self::table($db);
            $first = $db->table($table)->insertGetId(['name' => 'a', 'data' => '{"x": [1]}', 'ok' => true]);
            $db->table($table)->insert([['name' => 'b', 'ok' => false], ['name' => 'c', 'ok' => null]]);

            return [
                $first,
                $db->table($table)->where('data->x', '[1]')->orWhere('ok', false)->orderBy('id')->get()->all(),
                $db->table($table)->whereIn('name', ['b', 'c'])->update(['ok' => true]),
                $db->table($table)->upsert([['name' => 'a', 'ok' => false]], ['name'], ['ok']),
                $db->table($table)->pluck('ok', 'name')->all(),
                $db->table($table)->where('ok', true)->count(),
                $db->table($table)->where('name', 'c')->delete(),
                $db->table($table)->orderBy('id')->cursor()->map(static fn (object $row): string => $row->name)->all(),
                $db->table($table)->exists(),
            ];
        }];
        yield 'the schema' => [static function (Connection $db): array {
            $table = self::table($db);
            $schema = $db->getSchemaBuilder();
            $schema->table($table, static function (Blueprint $table): void {
                $table->string('more')->default('x');
            });

            return [$schema->hasTable($table), $schema->hasTable('nosuch'), $schema->getColumnListing($table)];
        }];
        yield 'nested transactions' => [static function (Connection $db): array {
            $table = self::table($db);
            $db->transaction(static function (Connection $db) use ($table): void {
                $db->table($table)->insert(['name' => 'outer']);
                try {
                    $db->transaction(static function (Connection $db) use ($table): void {
                        $db->table($table)->insert(['name' => 'inner']);
                        throw new RuntimeException('no');
                    });
                } catch (RuntimeException) {
                }
            });

            return [$db->table($table)->pluck('name')->all(), $db->transactionLevel()];
        }];
        yield 'several statements' => [static fn (Connection $db): mixed => $db->unprepared('SELECT 1; SELECT 2')];
        yield 'an error' => [static fn (Connection $db): mixed => $db->select('SELECT nosuch')];
        yield 'a violated constraint' => [static function (Connection $db): mixed {
            $db->unprepared('CREATE TABLE IF NOT EXISTS laravel_unique (name text PRIMARY KEY)');
            $db->table('laravel_unique')->insertOrIgnore(['name' => 'a']);

            return $db->table('laravel_unique')->insert(['name' => 'a']);
        }];
    }

    /**
     * @dataProvider uses
     * @requires extension pdo_pgsql
     */
    public function testIsLikeItsOwnDriver(Closure $work): void
    {
        preg_match('/host=(.*);port=(.*)/', Servers::proxy(), $door);
        $pgsql = self::connection([
            'driver' => 'pgsql', 'host' => $door[1], 'port' => $door[2], 'database' => 'app',
            'username' => 'app', 'password' => 'secret', 'prefix' => '',
        ]);

        $this->assertEqualOutcomes($work, $pgsql, self::connection());
    }

    public function testTheConfigurationBecomesSettings(): void
    {
        $db = self::connection([
            'charset' => 'utf8',
            'search_path' => 'public, "$user"',
            'timezone' => 'Asia/Tokyo',
            'application_name' => "it's mine",
            'synchronous_commit' => 'off',
            'isolation_level' => 'repeatable read',
            'settings' => ['app.tenant' => 7],
        ]);
        $show = static fn (string $name): string => $db->selectOne('SELECT current_setting(?) AS v', [$name])->v;

        self::assertInstanceOf(PgpoolConnection::class, $db);
        self::assertSame('pgsql', $db->getDriverName());
        self::assertSame('public, "$user"', str_replace('"public"', 'public', $show('search_path')));
        self::assertSame('Asia/Tokyo', $show('TimeZone'));
        self::assertSame("it's mine", $show('application_name'));
        self::assertSame('off', $show('synchronous_commit'));
        self::assertSame('7', $show('app.tenant'));
        $inside = $db->transaction(static fn (): array => [$show('transaction_isolation'), $show('TimeZone')]);
        self::assertSame(['repeatable read', 'Asia/Tokyo'], $inside);
    }

    public function testWrongConfigurations(): void
    {
        foreach ([['charset' => 'latin1'], ['isolation_level' => 'chaos'], ['route' => 'standby']] as $config) {
            try {
                self::connection($config)->getPdo();
                self::fail(json_encode($config));
            } catch (InvalidArgumentException) {
                $this->addToAssertionCount(1);
            }
        }
    }

    public function testReadAndWrite(): void
    {
        $db = self::connection(['read' => ['pool' => 'other'], 'write' => ['pool' => 'primary'], 'sticky' => true]);

        self::assertSame(1, $db->selectOne('SELECT 1 AS one')->one);
        self::assertNotSame($db->getPdo(), $db->getReadPdo());
        self::assertInstanceOf(PgpoolPdo::class, $db->getReadPdo());

        $routes = ['read' => ['route' => 'replica'], 'write' => ['route' => 'primary']];
        $db = self::connection(['pool' => 'replicated'] + $routes);
        self::assertTrue($db->selectOne('SELECT pg_is_in_recovery() AS replica')->replica);
        self::assertFalse($db->getPdo()->query('SELECT pg_is_in_recovery()')->fetchColumn());
    }

    public function testTheEndOfARequestRollsBack(): void
    {
        if (!class_exists('Laravel\Octane\Events\RequestTerminated')) {
            eval('namespace Laravel\Octane\Events; class RequestTerminated {}');
        }
        $app = new Container();
        $manager = self::manager([], $app);
        $listeners = [];
        $events = $this->createMock(Dispatcher::class);
        $events->method('listen')->willReturnCallback(
            static function (string $event, callable $listener) use (&$listeners): void {
                $listeners[$event] = $listener;
            },
        );
        $log = new class {
            /** @var list<string> */
            public array $warnings = [];

            public function warning(string $message): void
            {
                $this->warnings[] = $message;
            }
        };
        $app->instance('events', $events);
        $app->instance('log', $log);
        $app->instance('db', $manager->getDatabaseManager());
        (new PgpoolServiceProvider($app))->boot();
        $db = $manager->getConnection();
        $db->beginTransaction();
        $db->beginTransaction();
        $db->getPdo()->exec('CREATE TABLE left_open (id int)');
        $end = $listeners['Laravel\Octane\Events\RequestTerminated'];
        $end();
        $end();

        self::assertSame(0, $db->transactionLevel());
        self::assertFalse($db->getPdo()->inTransaction());
        self::assertNull($db->selectOne("SELECT to_regclass('left_open') AS name")->name);
        self::assertCount(1, $log->warnings);
        self::assertArrayNotHasKey('Laravel\Octane\Events\TickTerminated', $listeners);
    }

    /** @param array<string, mixed> $config */
    private static function connection(array $config = []): Connection
    {
        return self::manager($config, new Container())->getConnection();
    }

    /** @param array<string, mixed> $config */
    private static function manager(array $config, Container $app): Manager
    {
        $manager = new Manager($app);
        $manager->addConnection($config + [
            'driver' => 'pgpool', 'address' => Servers::address(), 'database' => 'app', 'prefix' => '',
        ]);
        (new PgpoolServiceProvider($app))->register();

        return $manager;
    }

    private static function table(Connection $db): string
    {
        $name = 'laravel_table';
        $db->getSchemaBuilder()->dropIfExists($name);
        $db->getSchemaBuilder()->create($name, static function (Blueprint $table): void {
            $table->id();
            $table->string('name')->unique();
            $table->jsonb('data')->nullable();
            $table->boolean('ok')->nullable();
        });

        return $name;
    }
}
