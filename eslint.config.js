// Owns the lint rules: type-aware TypeScript checks, and the one direction imports may take
// (main → app → {proxy, ledger, admin, upkeep}; admin, upkeep → ledger; admin, ledger, proxy → metrics; all → sessions).
import tseslint from 'typescript-eslint'

/** How deep folders under src/ may nest. */
const DEPTHS = [1, 2]

/** Files of src/{folder} may import from their own folder and from these others, at any depth. */
const importsOnly = (folder, ...allowed) =>
  DEPTHS.map(depth => ({
    files: [`src/${folder}/${'*/'.repeat(depth - 1)}*.ts`],
    rules: {
      'no-restricted-imports': [
        'error',
        {
          patterns: [
            {
              // As many steps up as leave the folder, and then none of the allowed ones.
              regex: `^(\\.\\./){${depth}}(?!(${allowed.join('|') || '(?!)'})/)`,
              message: `src/${folder} may import only from src/{${[folder, ...allowed].join(',')}}`
            }
          ]
        }
      ]
    }
  }))

export default tseslint.config(
  {
    ignores: [
      'dist*',
      'node_modules',
      'data',
      '.tap',
      'test/gateways',
      'test/bench/ends',
      'eslint.config.js',
      '.ci'
    ]
  },
  ...tseslint.configs.strictTypeChecked,
  {
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true }],
      '@typescript-eslint/no-confusing-void-expression': 'off',
      '@typescript-eslint/no-non-null-assertion': 'off',
      '@typescript-eslint/no-invalid-void-type': 'off',
      '@typescript-eslint/no-unused-vars': ['error', { varsIgnorePattern: '^_' }],
      '@typescript-eslint/no-unnecessary-condition': ['error', { allowConstantLoopConditions: true }]
    }
  },
  ...importsOnly('dashboard'),
  ...importsOnly('sessions'),
  ...importsOnly('metrics', 'sessions'),
  ...importsOnly('proxy', 'sessions', 'metrics'),
  ...importsOnly('ledger', 'sessions', 'metrics'),
  ...importsOnly('admin', 'ledger', 'sessions', 'metrics'),
  ...importsOnly('upkeep', 'ledger', 'sessions')
)
