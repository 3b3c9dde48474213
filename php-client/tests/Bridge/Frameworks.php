<?php

declare(strict_types=1);

namespace RrPgpool\Tests\Bridge;

/**
 * Finds the frameworks under test: those of the Composer project whose vendor directory PGPOOL_VENDOR
 * names, else the distribution's packages on PHP's include path.
 */
final class Frameworks
{
    /** Entry files by the namespace that they make available. */
    private const PACKAGES = [
        'Illuminate\Database\Connection' => ['Illuminate/Database/autoload.php', 'php-illuminate-database'],
        'Doctrine\DBAL\Connection' => ['Doctrine/DBAL/autoload.php', 'php-doctrine-dbal'],
    ];

    /**
     * @param class-string $class one of the classes above
     * @return string|null why it is not there, null when it is
     */
    public static function missing(string $class): ?string
    {
        $vendor = getenv('PGPOOL_VENDOR');
        if ($vendor !== false && $vendor !== '') {
            require_once "{$vendor}/autoload.php";

            return class_exists($class) ? null : "{$vendor} has no {$class}";
        }
        [$file, $package] = self::PACKAGES[$class];
        if (!class_exists($class, false) && stream_resolve_include_path($file) !== false) {
            require_once $file;
        }

        return class_exists($class) ? null : "{$class} is not installed; Debian has it in {$package}";
    }
}
