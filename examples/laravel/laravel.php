<?php

/**
 * Laravel's database layer through rr-pgpool, without the rest of Laravel. Run `rr-pgpool demo` in one
 * terminal and this in another:
 *
 *     apt-get install php-illuminate-database      # or any vendor/autoload.php as second argument
 *     php examples/laravel/laravel.php tcp://127.0.0.1:6002
 *
 * In an application, the service provider registers itself, and the array below goes into
 * config/database.php.
 */

declare(strict_types=1);

use Illuminate\Container\Container;
use Illuminate\Database\Capsule\Manager;
use Illuminate\Database\Connection;
use Illuminate\Database\Eloquent\Model;
use RrPgpool\Bridge\Laravel\PgpoolServiceProvider;

require $argv[2] ?? 'Illuminate/Database/autoload.php';
spl_autoload_register(static function (string $class): void {
    $file = __DIR__ . '/../../php-client/src/' . strtr(substr($class, strlen('RrPgpool\\')), '\\', '/') . '.php';
    if (str_starts_with($class, 'RrPgpool\\') && is_file($file)) {
        require $file;
    }
});

$app = new Container();
$manager = new Manager($app);
(new PgpoolServiceProvider($app))->register();
$manager->addConnection([
    'driver' => 'pgpool',
    'address' => $argv[1] ?? '',       // '' is PGPOOL_RPC, else tcp://127.0.0.1:6002
    'pool' => 'primary',               // as rr-pgpool's configuration names the database
    'database' => 'app',               // as PostgreSQL names it
    'search_path' => 'public',
    'timezone' => 'UTC',
    'prefix' => '',
]);
$manager->bootEloquent();
$manager->setAsGlobal();

$users = new class extends Model {
    public $timestamps = false;
    protected $table = 'users';
    protected $casts = ['profile' => 'array'];
};
foreach ($users->newQuery()->where('profile->newsletter', true)->orderBy('id')->limit(3)->get() as $user) {
    echo "{$user->name} has visited {$user->profile['visits']} times\n";
}

// Tried up to three times after a serialization failure or a deadlock; never after a commit of which
// nobody knows whether it was done.
$total = $manager->getConnection()->transaction(static function (Connection $db): string {
    $db->table('orders')->where('user_id', 1)->increment('total', 0.5);

    return $db->table('orders')->where('user_id', 1)->sum('total');
}, 3);
echo "user 1 has ordered for {$total}\n";
