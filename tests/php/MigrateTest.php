<?php

declare(strict_types=1);

namespace RrPgpool\Tests;

use Closure;
use PDO;
use RrPgpool\Tests\Bridge\Frameworks;

/**
 * The examples of docs/migrate.md, run as they stand there: what is before with PostgreSQL itself, what is
 * after through the pool. Only the examples' hosts and ports are replaced by those of the servers under test.
 */
final class MigrateTest extends PdoTestCase
{
    private const DOCUMENT = __DIR__ . '/../../docs/migrate.md';
    /** Hosts and ports of the examples. */
    private const POSTGRES = ['host' => 'db1', 'port' => 5432];
    private const POOL = ['host' => '127.0.0.1', 'port' => 5433];

    public static function setUpBeforeClass(): void
    {
        require_once __DIR__ . '/../../php-client/tests/Bridge/Frameworks.php';
    }

    protected function setUp(): void
    {
        $pdo = $this->connect('app');
        $pdo->exec('CREATE TABLE IF NOT EXISTS migrate_users (id serial PRIMARY KEY, name text NOT NULL)');
    }

    protected function tearDown(): void
    {
        error_reporting(-1);
    }

    /** @return array<string, array{string}> */
    public static function stages(): array
    {
        return ['before' => ['before'], 'after' => ['after']];
    }

    /** @dataProvider stages */
    public function testPlainPdo(string $stage): void
    {
        self::assertSame('Ada', $this->runExample("pdo {$stage}", []));
    }

    /** @dataProvider stages */
    public function testLaravel(string $stage): void
    {
        $this->need('Illuminate\Database\Connection');
        $config = $this->runExample("laravel {$stage}", []);
        $manager = new \Illuminate\Database\Capsule\Manager();
        $manager->addConnection($config);
        $users = static fn () => $manager->getConnection()->table('migrate_users');
        $id = $users()->insertGetId(['name' => 'Barbara']);
        self::assertSame('Barbara', $users()->where('id', $id)->value('name'));
    }

    /** @dataProvider stages */
    public function testDoctrine(string $stage): void
    {
        $this->need('Doctrine\DBAL\Connection');
        $connection = \Doctrine\DBAL\DriverManager::getConnection($this->runExample("doctrine {$stage}", []));
        $connection->insert('migrate_users', ['name' => 'Edsger']);
        $sql = 'SELECT count(*) FROM migrate_users WHERE name = ?';
        self::assertGreaterThan(0, (int) $connection->fetchOne($sql, ['Edsger']));
    }

    public function testLastInsertId(): void
    {
        $direct = new PDO('pgsql:' . Servers::postgres() . ';dbname=app', 'app', 'secret');
        $pooled = $this->connect('app');
        $ids = [
            $this->runExample('last-insert-id before', ['pdo' => $direct]),
            $this->runExample('last-insert-id after', ['pdo' => $pooled]),
            $this->runExample('last-insert-id returning', ['pdo' => $pooled]),
        ];
        foreach ($ids as $id) {
            self::assertSame('Grace', $this->value($direct, 'SELECT name FROM migrate_users WHERE id = ?', [$id]));
        }
        self::assertCount(3, array_unique($ids));
    }

    public function testBeforeAndAfterDifferInNothingButTheAddress(): void
    {
        foreach (['pdo', 'laravel', 'doctrine'] as $name) {
            $before = self::example("{$name} before");
            $after = self::example("{$name} after");
            self::assertNotSame($before, $after);
            $moved = str_replace(array_map(strval(...), self::POSTGRES), array_map(strval(...), self::POOL), $before);
            self::assertSame($after, $moved, $name);
        }
    }

    /** Runs an example with these variables; what it returns. */
    private function runExample(string $name, array $variables): mixed
    {
        $before = str_ends_with($name, ' before');
        preg_match('/^host=(.*);port=(\d+)$/', $before ? Servers::postgres() : Servers::proxy(), $server);
        $named = array_map(strval(...), $before ? self::POSTGRES : self::POOL);
        $code = str_replace([$named['host'], $named['port']], [$server[1], $server[2]], self::example($name), $count);
        self::assertTrue($count === 2 || str_starts_with($name, 'last-insert-id'), "{$name}: {$count} replaced");
        // A function of its own, so that an example sees no variable but those that it is given.
        $run = static function (string $code, array $variables): mixed {
            extract($variables);

            return eval($code);
        };

        return Closure::bind($run, null, null)($code, $variables);
    }

    private static function example(string $name): string
    {
        $pattern = '/<!-- run: ' . preg_quote($name, '/') . ' -->\n```php\n(.*?)\n```\n/s';
        self::assertSame(1, preg_match_all($pattern, (string) file_get_contents(self::DOCUMENT), $found), $name);

        return $found[1][0];
    }

    private function need(string $class): void
    {
        $missing = Frameworks::missing($class);
        if ($missing !== null) {
            self::markTestSkipped($missing);
        }
        // The distribution's frameworks are older than its PHP.
        error_reporting(E_ALL & ~E_DEPRECATED);
    }
}
