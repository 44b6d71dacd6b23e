// Owns the lint rules for the code itself: type-aware TypeScript checks. Which file may import which is in .dependency-cruiser.js.
import tseslint from 'typescript-eslint'

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
      '.dependency-cruiser.js',
      '.ci',
      'build.js',
      'docker'
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
  }
)
